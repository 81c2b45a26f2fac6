"""A whole campaign in one process, for tests that run hundreds of them."""
