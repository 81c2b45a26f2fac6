"""What may become of a message that leaves the outbox, besides being sent."""


class Later(Exception):
    """Try again after `wait_s` seconds; None: as the sender sees fit."""

    def __init__(self, why: str, wait_s: float | None = None) -> None:
        super().__init__(why)
        self.wait_s = wait_s


class Refused(Exception):
    """The receiver says no, and says so again until somebody changes something; `str()` is its reason."""


class NotNeeded(Exception):
    """What the message says is no longer so; `str()` is why."""
