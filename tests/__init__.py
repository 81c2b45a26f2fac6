"""Rules as tests; mirrors the tree."""
