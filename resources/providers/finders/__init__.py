"""One declaration per finder: how to ask for an address and how to read the answer."""
