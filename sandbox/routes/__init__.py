"""One file per vendor: its wire protocol as its documentation tells it."""
