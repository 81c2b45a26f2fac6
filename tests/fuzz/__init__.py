"""Whatever arrives from outside, for as long as there is time."""
