"""The table [alerts] of edge.toml: what is worth an alert, how often it may be told, and to whom."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bundle.errors import BadConfig
from edge.setting import about, check_ranges

_NAME = re.compile(r"[^\W_][\w .-]{0,39}")
_NAME_TEXT = "What the alert is called: a letter or digit first, then also blanks and ._- , 40 at most."
_IMAGES = {"least": 1, "most": 10**9}
_MINUTES = {"least": 0.1, "most": 10_080}


def _threshold(unit: str, text: str, least: float, most: float) -> Any:
    return field(default=None, metadata=about(unit, text, least, most))


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What all rules have. A rule holds when any of its thresholds is reached."""

    name: str = field(metadata=about("text", _NAME_TEXT))
    severity: Literal["info", "warning", "critical"] = field(
        default="warning", metadata=about("a word", "Told with the alert; nothing else depends on it.")
    )
    for_seconds: float = field(
        default=0.0,
        metadata=about("seconds", "It is an alert once it has held for so long without a break.", 0, 86_400),
    )
    clear: float = field(
        default=0.8,
        metadata=about(
            "part of the threshold",
            "The alert is over when the value is back below this part of the threshold, so that one at the brink does not\n"
            "come and go. 0.5: raised at 100 images, over below 50; raised below 10 GB free, over above 20 GB.",
            least=0.01,
            most=1,
        ),
    )
    repeat_minutes: float = field(
        default=60.0,
        metadata=about(
            "minutes", "It is not told as raised more often than this, even if it comes and goes.", 1, 10_080
        ),
    )
    remind: bool = field(
        default=True,
        metadata=about("true or false", "Whether it is told again each repeat_minutes while it lasts."),
    )

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name != self.name.strip():
            raise BadConfig(f"name {self.name!r} cannot be an alert's; see: {_NAME_TEXT}")
        check_ranges(self)
        if self.thresholds and all(getattr(self, each) is None for each in self.thresholds):
            raise BadConfig(f"the rule '{self.name}' has no threshold; give {' or '.join(self.thresholds)}")

    @property
    def thresholds(self) -> tuple[str, ...]:
        """The settings of which one at least must be given."""
        return ()

    @property
    def topic(self) -> str:
        """The name where blanks would be awkward: in MQTT topics and file names."""
        return self.name.replace(" ", "-")


@dataclass(frozen=True, kw_only=True)
class SpeciesRule(Rule):
    """Many organisms of some kinds within a stretch of capture time. [[alerts.species]]"""

    labels: tuple[str, ...] = field(
        metadata=about("list", "Labels of the bundle, or groups of its taxa.csv; their images are added up.")
    )
    images: int | None = _threshold("images", "So many of these labels within `minutes` are an alert.", **_IMAGES)
    share: float | None = _threshold(
        "share", "Such a share of all images counted within `minutes` is an alert.", least=0.0001, most=1
    )
    minutes: float = field(
        default=10.0,
        metadata=about(
            "minutes",
            "The stretch of capture time that ends with the newest image. It is 0 images when none has come for so long.",
            **_MINUTES,
        ),
    )
    min_images: int = field(
        default=20, metadata=about("images", "With fewer images in all, there is no share.", **_IMAGES)
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.labels:
            raise BadConfig(f"the rule '{self.name}' has no labels; name those that it is to count")

    @property
    def thresholds(self) -> tuple[str, ...]:
        return ("images", "share")


@dataclass(frozen=True, kw_only=True)
class SilenceRule(Rule):
    """No new image file. [[alerts.silence]]"""

    minutes: float = field(metadata=about("minutes", "So long without a new file is an alert.", **_MINUTES))


@dataclass(frozen=True, kw_only=True)
class BacklogRule(Rule):
    """Images wait. [[alerts.backlog]]"""

    images: int | None = _threshold("images", "So many waiting are an alert.", **_IMAGES)
    minutes: float | None = _threshold("minutes", "The oldest one waiting for so long is an alert.", **_MINUTES)

    @property
    def thresholds(self) -> tuple[str, ...]:
        return ("images", "minutes")


@dataclass(frozen=True, kw_only=True)
class DiskRule(Rule):
    """A disk fills up. [[alerts.disk]]"""

    free_gb: float = field(metadata=about("GB", "Less free than this is an alert.", least=0.001, most=1e6))
    folder: Literal["all", "watch", "ledger", "out"] = field(
        default="all",
        metadata=about("a word", "Whose disk: of the folder so named above, or the fullest of all three."),
    )


@dataclass(frozen=True, kw_only=True)
class RejectsRule(Rule):
    """Many files that cannot be counted. [[alerts.rejects]]"""

    share: float = field(
        metadata=about("share", "Rejected, of all images decided on within `minutes`.", least=0.0001, most=1)
    )
    minutes: float = field(default=10.0, metadata=about("minutes", "By the host's clock.", least=1, most=1440))
    min_images: int = field(
        default=20, metadata=about("images", "With fewer decided on, there is no share.", **_IMAGES)
    )


@dataclass(frozen=True, kw_only=True)
class DriftRule(Rule):
    """Images look other than those that the classifier was validated on, verdict for verdict. [[alerts.drift]]"""

    minutes: float = field(
        default=360.0,
        metadata=about(
            "minutes",
            "The stretch of capture time, up to the newest image, that is held against validation (docs/drift.md). Looked at\n"
            "every 5 minutes. With too few images nothing is said.",
            **_MINUTES,
        ),
    )


@dataclass(frozen=True, kw_only=True)
class AccountingRule(Rule):
    """seen = counted + rejected + waiting + dropped does not hold: a fault of Planktow's. [[alerts.accounting]]"""


@dataclass(frozen=True, kw_only=True)
class DaemonRule(Rule):
    """`planktow-edge run` is stopped, or hangs: status.json is not rewritten. [[alerts.daemon]]"""

    seconds: float = field(
        default=60.0,
        metadata=about(
            "seconds", "So long without a sign of life is an alert; give several publish_seconds.", least=1, most=86_400
        ),
    )


@dataclass(frozen=True, kw_only=True)
class ProblemRule(Rule):
    """status.json names a problem, or the ledger cannot be read. [[alerts.problem]]"""


@dataclass(frozen=True)
class HookSettings:
    """A command that is run for each event. [alerts.hook]"""

    command: tuple[str, ...] = field(
        metadata=about(
            "list",
            "The program and its arguments, run without a shell. The event is JSON on its standard input, and in PLANKTOW_*\n"
            "variables. What it leaves running in its process group is ended with it.",
        )
    )
    timeout_seconds: float = field(
        default=30.0, metadata=about("seconds", "Then it is killed, and has failed.", least=0.1, most=3600)
    )
    tries: int = field(
        default=5,
        metadata=about(
            "tries", "It has failed with an exit code other than 0; then again after 5, 10, 20 … s.", 1, 100
        ),
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.command or not self.command[0] or any("\0" in part for part in self.command):
            raise BadConfig("hook: command is empty; give a program and its arguments, such as ['/usr/local/bin/tell']")


@dataclass(frozen=True)
class MqttSettings:
    """A broker that is told of each event, and of how each rule stands. [alerts.mqtt]"""

    host: str = field(metadata=about("host name", "Of the broker."))
    port: int = field(default=1883, metadata=about("port", "Mostly 1883, and 8883 with tls.", least=1, most=65_535))
    tls: bool = field(default=False, metadata=about("true or false", "Whether the connection is encrypted."))
    ca_file: Path | None = field(
        default=None,
        metadata=about("file", "Certificates (PEM) that vouch for the broker's own; else those of the system."),
    )
    user: str | None = field(default=None, metadata=about("text", "Where the broker wants a name."))
    password_file: Path | None = field(
        default=None, metadata=about("file", "The password, in its first line. Readable by this service alone.")
    )
    prefix: str = field(
        default="planktow",
        metadata=about("text", "How the topics begin: PREFIX/status, PREFIX/event, PREFIX/alert/NAME."),
    )
    keepalive_seconds: int = field(
        default=60, metadata=about("seconds", "A lost connection is noticed within twice this.", least=5, most=3600)
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if not self.host:
            raise BadConfig("mqtt: host is empty; give the broker's name or address")
        if self.ca_file is not None and not self.tls:
            raise BadConfig(
                "mqtt: ca_file is given and tls is false; the connection would not be encrypted, set tls = true"
            )
        if self.password_file is not None and self.user is None:
            raise BadConfig("mqtt: a password_file needs a user")
        if not self.prefix or set(self.prefix) & set("+#\0") or self.prefix[0] in "/$" or self.prefix.endswith("/"):
            raise BadConfig(
                f"mqtt: prefix {self.prefix!r} cannot begin a topic; take letters, digits and / between them"
            )


@dataclass(frozen=True)
class AlertSettings:
    """The table [alerts] of edge.toml."""

    every_seconds: float = field(
        default=10.0, metadata=about("seconds", "How often `planktow-edge alerts` looks.", least=0.1, most=3600)
    )
    max_per_hour: int = field(
        default=30,
        metadata=about(
            "events", "So many are told in any hour, of all rules together; more wait.", least=1, most=10_000
        ),
    )
    species: tuple[SpeciesRule, ...] = field(default=(), metadata=about("tables", "Many organisms of some kinds."))
    silence: tuple[SilenceRule, ...] = field(default=(), metadata=about("tables", "No images."))
    backlog: tuple[BacklogRule, ...] = field(default=(), metadata=about("tables", "Images wait."))
    disk: tuple[DiskRule, ...] = field(default=(), metadata=about("tables", "A disk fills up."))
    rejects: tuple[RejectsRule, ...] = field(default=(), metadata=about("tables", "Many files cannot be counted."))
    drift: tuple[DriftRule, ...] = field(
        default=(), metadata=about("tables", "Images no longer look as in validation.")
    )
    accounting: tuple[AccountingRule, ...] = field(default=(), metadata=about("tables", "Accounts do not add up."))
    daemon: tuple[DaemonRule, ...] = field(default=(), metadata=about("tables", "The daemon is not running."))
    problem: tuple[ProblemRule, ...] = field(default=(), metadata=about("tables", "status.json names a problem."))
    hook: HookSettings | None = field(default=None, metadata=about("table", "A command that is run for each event."))
    mqtt: MqttSettings | None = field(default=None, metadata=about("table", "A broker that is told of each event."))

    def __post_init__(self) -> None:
        check_ranges(self)
        seen: set[str] = set()
        for rule in self.rules:
            if rule.topic.casefold() in seen:
                raise BadConfig(f"two alerts are named '{rule.name}'; their topics would be one, give another name")
            seen.add(rule.topic.casefold())

    @property
    def rules(self) -> tuple[Rule, ...]:
        """All of them."""
        return tuple(self._rules())

    def _rules(self) -> Iterator[Rule]:
        for kind in (self.species, self.silence, self.backlog, self.disk):
            yield from kind
        for other in (self.rejects, self.drift, self.accounting, self.daemon, self.problem):
            yield from other

    def rule(self, name: str) -> Rule:
        """The one of this name. Raises BadConfig."""
        for rule in self.rules:
            if name in (rule.name, rule.topic):
                return rule
        known = ", ".join(f"'{rule.name}'" for rule in self.rules) or "none"
        raise BadConfig(f"no alert is named '{name}'; there are: {known}")

    def from_folder(self, base: Path) -> AlertSettings:
        """The same, paths relative to the folder of edge.toml."""
        if self.mqtt is None:
            return self
        ca_file, password_file = (
            None if path is None else base / path for path in (self.mqtt.ca_file, self.mqtt.password_file)
        )
        return dataclasses.replace(
            self, mqtt=dataclasses.replace(self.mqtt, ca_file=ca_file, password_file=password_file)
        )

    def check_labels(self, labels: Collection[str], groups: Collection[str]) -> None:
        """Raises BadConfig for a rule on what the bundle does not tell: it would never act."""
        import difflib

        known = [*labels, *groups]
        for rule in self.species:
            for label in rule.labels:
                if label not in known:
                    near = difflib.get_close_matches(label, known, n=1)
                    remedy = f"did you mean '{near[0]}'?" if near else "take one of its labels.txt or taxa.csv"
                    raise BadConfig(f"alerts: the rule '{rule.name}' names '{label}', no label or group; {remedy}")
