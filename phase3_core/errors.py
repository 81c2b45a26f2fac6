"""The few errors of phase 3; each message says what to do next.

Phase3Error
├── BadInput            the user's file, name or configuration; nothing was changed (exit 2)
│   ├── UnknownCampaign
│   ├── WrongCampaignState
│   └── DecisionRefused  a decision that does not count: too late, stale, not an approver
│       └── NotAtTheGate  a run moved the campaign on and did not end with a request
├── StoppedAtThreshold  too few good leads to go on; everything bought is kept (exit 3)
├── CampaignBusy        another run works on this campaign (exit 1)
├── Superseded          another run took the campaign from this one; it buys and moves nothing more (exit 1)
├── NothingUsable       no usable finder or verifier; nothing was spent (exit 1)
└── OutsideFailure      the database or the disk is gone; run again to resume (exit 1)
"""


class Phase3Error(Exception):
    """A failure that a user can act on; `str()` is one line."""

    exit_code = 1


class BadInput(Phase3Error):
    exit_code = 2


class UnknownCampaign(BadInput):
    def __init__(self, campaign: str) -> None:
        super().__init__(
            f"There is no campaign {campaign!r}. `phase3 status` lists campaigns; `phase3 import` makes one."
        )


class WrongCampaignState(BadInput):
    def __init__(self, campaign: str, status: str, wanted: str) -> None:
        super().__init__(
            f"Campaign {campaign} is '{status}' and cannot become '{wanted}'. "
            "Phase 3 starts from 'import_complete'; an approved or rejected campaign is not run again."
        )


class DecisionRefused(BadInput):
    pass


class NotAtTheGate(DecisionRefused):
    def __init__(self, campaign: str, status: str) -> None:
        super().__init__(
            f"Not decided: campaign {campaign} is '{status}' since approval was asked for; `phase3 status` "
            "says why. Run it again to its end (nothing is paid twice), read its report, then decide."
        )


class StoppedAtThreshold(Phase3Error):
    exit_code = 3


class CampaignBusy(Phase3Error):
    def __init__(self, campaign: str) -> None:
        super().__init__(
            f"Another run is working on campaign {campaign}. Wait for it or terminate it in the Dagster UI."
        )


class Superseded(Phase3Error):
    def __init__(self, campaign: str) -> None:
        super().__init__(
            f"Another run took campaign {campaign} over while this one was cut off from the database. "
            "What this one bought is kept; wait for the other run, then run again if anything is left."
        )


class NothingUsable(Phase3Error):
    pass


class OutsideFailure(Phase3Error):
    pass
