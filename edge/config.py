"""The settings of `planktow-edge run`: one TOML file, read once into one frozen value.

Default, unit and explanation of a setting stand in one place, here; the file that `planktow-edge init` writes is made
from them.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from pathlib import Path

from bundle.errors import BadConfig
from bundle.settings import read_settings
from edge.setting import about, check_ranges


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
            "How often the whole folder is walked, for what notifications missed. On a network mount, which sends\n"
            "none, this is how late an image is seen.",
            least=0.1,
            most=86400,
        ),
    )
    publish_seconds: float = field(
        default=5.0,
        metadata=about("seconds", "How often the files in `out` are rewritten.", least=0.1, most=86400),
    )
    batch_images: int = field(
        default=16,
        metadata=about(
            "images", "At most so many are classified, and committed to the ledger, together.", least=1, most=1024
        ),
    )
    max_image_bytes: int = field(
        default=256 * 1024 * 1024,
        metadata=about("bytes", "A larger file is rejected unread. The bundle limits the pixels.", least=1),
    )
    threads: int = field(
        default=0, metadata=about("threads", "For the classifier; 0: one per processor core.", least=0, most=256)
    )

    def __post_init__(self) -> None:
        check_ranges(self)


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
    blocks = ["# The settings of `planktow-edge run`. Relative paths start at this file's folder."]
    for setting in dataclasses.fields(config):
        comment = "\n".join(f"# {line}" for line in str(setting.metadata["text"]).splitlines())
        value = getattr(config, setting.name)
        # A JSON string is a TOML basic string, JSON's numbers and booleans are TOML's.
        spelled = json.dumps(str(value) if isinstance(value, Path) else value, ensure_ascii=False)
        blocks.append(f"{comment}\n# Unit: {setting.metadata['unit']}.\n{setting.name} = {spelled}")
    return "\n\n".join(blocks) + "\n"
