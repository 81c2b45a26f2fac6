"""One declaration per enricher: how to ask for company or person facts and how to read them."""
