"""One declaration per verifier: how to ask about an address and how to read the verdict."""
