"""In-memory adapters, one per port."""
