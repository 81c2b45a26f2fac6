"""Leads from a CSV file as people make them: a bad row is reported with its line, the rest is read."""
