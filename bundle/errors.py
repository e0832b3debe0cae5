"""The errors of Planktow, sorted by what happens next.

PlanktowError          anything we refuse with one line for a person to act on
├── BadImage           this image's fault: record it, set it aside, go on
├── BadBundle          this bundle's fault: refuse to start
├── BadConfig          this configuration's fault: refuse to start
└── BadData            this data set's fault (training, quantising, evaluating): refuse to start

Anything else is a fault of ours and is left to crash: systemd restarts the daemon and the ledger makes that harmless.
"""


class PlanktowError(Exception):
    """A refusal: its text is one line that names the file, the fault and the remedy."""


class BadImage(PlanktowError):
    """An image that cannot be counted. `reason` is a short word for tables, the text says more."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


class BadBundle(PlanktowError):
    """A bundle that is damaged, incomplete or not for this version."""


class BadConfig(PlanktowError):
    """A configuration file or option that cannot be meant."""


class BadData(PlanktowError):
    """A data set that cannot be used as it is."""
