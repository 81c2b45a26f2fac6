"""The vendors' stand-in: one HTTP server with accounts, bills and faults. Imports nothing of ours."""
