"""The settings of `planktow-edge run`: one TOML file, read once into one frozen value.

Default, unit and explanation of a setting stand in one place, here; the file that `planktow-edge init` writes is made
from them.
"""

from __future__ import annotations

import dataclasses
import json
import typing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bundle.errors import BadConfig
from bundle.settings import read_settings
from edge.alerts.settings import AlertSettings
from edge.capture.timesettings import TimeSettings
from edge.daemon.rejects import RejectSettings
from edge.intake.overload import OverloadSettings
from edge.ledger.backup import BackupSettings
from edge.quality.quality import QualitySettings
from edge.retention.retention import RetentionSettings
from edge.setting import about, check_ranges
from edge.shadow.shadowsettings import ShadowSettings


@dataclass(frozen=True)
class EdgeConfig:
    """What the daemon is told. Raises BadConfig for a number outside its range."""

    watch: Path = field(default=Path("images"), metadata=about("folder", "The folder that the camera writes to."))
    bundle: Path = field(
        default=Path("bundle"), metadata=about("folder", "The classifier: a folder with manifest.json.")
    )
    ledger: Path = field(
        default=Path("ledger.sqlite"),
        metadata=about(
            "file",
            "Where every image and verdict is kept. Made when missing, in a folder that exists. On a local disk:\n"
            "SQLite's write-ahead log does not work over a network.",
        ),
    )
    out: Path = field(
        default=Path("counts"),
        metadata=about("folder", "Where counts.csv and status.json are rewritten for other programs aboard."),
    )
    recursive: bool = field(default=True, metadata=about("true or false", "Whether images in sub-folders count too."))
    settle_seconds: float = field(
        default=2.0,
        metadata=about(
            "seconds",
            "A file that was not seen being closed is read when size and mtime have stayed the same for so long; one\n"
            "that looks torn gets as long to become whole. Let it exceed the camera's longest pause within an image.",
            least=0.01,
            most=3600,
        ),
    )
    rescan_seconds: float = field(
        default=30.0,
        metadata=about(
            "seconds",
            "How often the whole folder is walked, for what notifications missed. A folder so large that this would\n"
            "take a tenth of the time is walked more seldom.",
            least=0.1,
            most=86400,
        ),
    )
    poll_seconds: float = field(
        default=5.0,
        metadata=about(
            "seconds",
            "The same for a mount that sends no notifications (NFS, SMB and the like, which we recognise). Give\n"
            "rescan_seconds the same where such a mount is not recognised: a camera that is mounted like a USB stick.",
            least=0.1,
            most=86400,
        ),
    )
    retry_seconds: float = field(
        default=60.0,
        metadata=about(
            "seconds",
            "A file that cannot be read (permission, I/O error) is tried again after 1, 2, 4 … seconds, for so long;\n"
            "then it is rejected as unreadable, and tried again with each rescan.",
            least=0,
            most=86400,
        ),
    )
    count_sightings: bool = field(
        default=False,
        metadata=about(
            "true or false",
            "Whether the same bytes, seen again under another name, count again. false: an image counts once.",
        ),
    )
    publish_seconds: float = field(
        default=5.0,
        metadata=about("seconds", "How often the files in `out` are rewritten.", least=0.1, most=86400),
    )
    batch_images: int = field(
        default=64,
        metadata=about(
            "images",
            "At most so many are classified, and committed to the ledger, together. Fewer while few wait.",
            least=1,
            most=1024,
        ),
    )
    ballots: Literal["enough", "all"] = field(
        default="enough",
        metadata=about(
            '"enough" or "all"',
            "enough: members are asked until no further ballot can change the verdict. all: every member is asked for\n"
            "every image, for the sake of the votes and the score; it takes up to twice the time.",
        ),
    )
    max_image_bytes: int = field(
        default=256 * 1024 * 1024,
        metadata=about("bytes", "A larger file is rejected unread. The bundle limits the pixels.", least=1),
    )
    workers: int = field(
        default=0,
        metadata=about(
            "processes",
            "That read and classify side by side, some 100 MiB each; 0: as `planktow-edge tune` found best on this host, or\n"
            "one per processor core that this service has.",
            least=0,
            most=256,
        ),
    )
    time: TimeSettings = field(
        default_factory=TimeSettings, metadata=about("table", "When an image was taken: its capture time.")
    )
    overload: OverloadSettings = field(
        default_factory=OverloadSettings, metadata=about("table", "When more comes in than can be classified.")
    )
    quality: QualitySettings = field(
        default_factory=QualitySettings,
        metadata=about("table", "Rules that set images aside; their verdicts are kept (docs/operations.md)."),
    )
    rejects: RejectSettings = field(
        default_factory=RejectSettings, metadata=about("table", "What becomes of files that cannot be counted.")
    )
    retention: RetentionSettings = field(
        default_factory=RetentionSettings, metadata=about("table", "Deleting counted images to make room.")
    )
    shadow: ShadowSettings = field(
        default_factory=ShadowSettings, metadata=about("table", "A second classifier beside the one that counts.")
    )
    backup: BackupSettings = field(
        default_factory=BackupSettings, metadata=about("table", "Copies of the ledger, made while counting goes on.")
    )
    alerts: AlertSettings = field(
        default_factory=AlertSettings,
        metadata=about("table", "What `planktow-edge alerts` tells, and to whom (docs/monitoring.md)."),
    )

    def __post_init__(self) -> None:
        check_ranges(self)

    @property
    def rejects_folder(self) -> Path:
        """Where rejected files go, if anywhere."""
        return Path(self.rejects.folder)


def read_config(file: Path) -> EdgeConfig:
    """The settings in a TOML file; relative paths in it are relative to its folder. Raises BadConfig."""
    config = read_settings(file, EdgeConfig)
    base = file.resolve().parent
    return dataclasses.replace(
        config,
        watch=base / config.watch,
        bundle=base / config.bundle,
        ledger=base / config.ledger,
        out=base / config.out,
        quality=config.quality.from_folder(base),
        rejects=dataclasses.replace(config.rejects, folder=str(base / config.rejects.folder)),
        shadow=config.shadow.from_folder(base),
        alerts=config.alerts.from_folder(base),
    )


def config_from(
    file: Path | None, watch: Path | None, bundle: Path | None, ledger: Path | None, out: Path | None
) -> EdgeConfig:
    """The settings of a command line: those of `file`, if any, with the given paths in their place. Raises BadConfig."""
    if file is not None:
        config = read_config(file)
        return dataclasses.replace(
            config,
            watch=watch or config.watch,
            bundle=bundle or config.bundle,
            ledger=ledger or config.ledger,
            out=out or config.out,
        )
    if watch is None or bundle is None or ledger is None:
        given = {"--watch": watch, "--bundle": bundle, "--ledger": ledger}
        missing = ", ".join(option for option, path in given.items() if path is None)
        raise BadConfig(f"{missing} missing; give --config FILE, or --watch DIR, --bundle DIR and --ledger FILE")
    return EdgeConfig(watch=watch, bundle=bundle, ledger=ledger, out=out or ledger.with_name("counts"))


def format_config(config: EdgeConfig) -> str:
    """A commented TOML file that reads back as `config`."""
    head = "# The settings of `planktow-edge run`. Relative paths start at this file's folder."
    return "\n\n".join([head, *_blocks(config, "")]) + "\n"


def _blocks(settings: Any, table: str) -> list[str]:
    """The settings of one table, plain ones first as TOML wants it, then the tables in it."""
    plain: list[str] = []
    tables: list[str] = []
    hints = typing.get_type_hints(type(settings))
    for setting in dataclasses.fields(settings):
        value = getattr(settings, setting.name)
        name = f"{table}.{setting.name}" if table else setting.name
        comment = "\n".join(f"# {line}" for line in str(setting.metadata["text"]).splitlines())
        if dataclasses.is_dataclass(value):
            tables += [f"{comment}\n[{name}]", *_blocks(value, name)]
        elif any(dataclasses.is_dataclass(item) for item in typing.get_args(hints[setting.name])):
            # None of them is not spelled `= []`: a table added below by hand would then be a second definition.
            for each in value or ():
                tables += [f"{comment}\n[[{name}]]", *_blocks(each, name)]
        elif value is not None:
            plain.append(f"{comment}\n# Unit: {setting.metadata['unit']}.\n{setting.name} = {_spelled(value)}")
    return plain + tables


def _spelled(value: object) -> str:
    """A value as TOML: a JSON string is a TOML basic string, JSON's numbers, booleans and arrays are TOML's."""
    plain = str(value) if isinstance(value, Path) else value
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", "\\u007f")  # JSON lets this one pass, TOML does not
