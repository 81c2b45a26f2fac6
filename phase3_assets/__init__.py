"""What can be started: the Dagster graph and the command line. Rules and adapters live elsewhere."""
