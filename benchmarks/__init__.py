"""Ratios of two things measured in one run: the table goes to stdout, whatever else is said beside it."""

import sys


def aside(line: str) -> None:
    print(line, file=sys.stderr)
