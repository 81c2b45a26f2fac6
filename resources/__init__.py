"""The outside world behind the ports of `phase3_core`: vendors, Postgres, exports, settings."""
