"""Why the embedded server cannot be had."""

from typing import Final

ADVICE: Final = "Choose another state directory, do not run as root, or name a PostgreSQL server of your own."


class EmbeddedPostgresError(Exception):
    """The embedded server cannot be had; the message says what to do about it."""
