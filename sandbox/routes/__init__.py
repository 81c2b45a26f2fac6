"""One file per vendor: its wire protocol as its documentation tells it. Long ones have what they are asked,
and what they have on file, in files beside them.
"""
