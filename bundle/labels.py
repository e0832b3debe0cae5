"""The label file: one label per line, the line number is the class index."""

from __future__ import annotations

from collections.abc import Sequence

from bundle.errors import BadBundle

UNCLASSIFIED = "unclassified"  # the verdict of a vote that fell short of min_votes; no class may bear this name


def parse_labels(data: bytes, where: str) -> tuple[str, ...]:
    """The labels in the bytes of a label file. Raises BadBundle, beginning with `where`, for anything but clean lines."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise BadBundle(f"{where}: not UTF-8 text; make the bundle anew") from None
    labels = tuple(text.removesuffix("\n").split("\n"))
    check_labels(labels, where)
    return labels


def format_labels(labels: Sequence[str]) -> bytes:
    """The bytes of a label file. Raises BadBundle where `parse_labels` would not read the same labels back."""
    check_labels(labels, "labels.txt")
    return ("\n".join(labels) + "\n").encode()


def check_labels(labels: Sequence[str], where: str) -> None:
    """Raises BadBundle unless there are at least two labels, all distinct, printable and without spaces at the ends."""
    if len(labels) < 2:
        raise BadBundle(f"{where}: {len(labels)} label(s), but a classifier needs at least two")
    seen: set[str] = set()
    for number, label in enumerate(labels, start=1):
        if not label or label != label.strip() or not label.isprintable():
            raise BadBundle(f"{where}: line {number} is not a label: {label!r} (empty, padded or not printable)")
        if label == UNCLASSIFIED:
            raise BadBundle(
                f"{where}: line {number}: '{UNCLASSIFIED}' is the verdict of an open vote, name the class otherwise"
            )
        if label in seen:
            raise BadBundle(f"{where}: line {number}: the label '{label}' stands twice")
        seen.add(label)
