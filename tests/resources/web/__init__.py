"""Web fetch and page reading, over real sockets on loopback; no test leaves the machine."""
