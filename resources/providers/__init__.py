"""The vendors: one declaration each, one client that asks, prices and records every call."""
