"""Our tables, one repository a file, the call ledger, migrations and the embedded server."""
