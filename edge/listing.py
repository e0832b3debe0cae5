"""The outcome of a one-off classification as csv, json or tables.

csv     one row per file: path,truth,label,votes,members,score,reason,detail. A rejected file has no label but a reason.
json    {bundle, counts, scores, images, rejects}; `scores` is null unless the truth is known.
table   a row per file where there are few, else counts per label; with the truth, scores per class.
"""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from bundle.folder import Bundle
from bundle.labels import UNCLASSIFIED
from bundle.scores import Scores
from bundle.whole import json_bytes
from edge.oneoff import Judged
from edge.screen import table

FEW = 40  # files: as many rows as a person reads
SHOWN_REJECTS = 10


def judged_csv(bundle: Bundle, judged: Sequence[Judged]) -> str:
    """All files, rejects included, in the order given."""
    members = len(bundle.manifest.members)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("path", "truth", "label", "votes", "members", "score", "reason", "detail"))
    for each in judged:
        verdict = (each.label, each.votes, members, f"{each.score:.4f}") if each.label else ("", "", "", "")
        writer.writerow((each.name, each.truth or "", *verdict, each.reason or "", each.detail or ""))
    return text.getvalue()


def judged_json(bundle: Bundle, judged: Sequence[Judged], scores: Scores | None) -> str:
    """One JSON object."""
    counts = _counts(judged)
    content: dict[str, Any] = {
        "bundle": {
            "name": bundle.manifest.name,
            "digest": bundle.digest,
            "members": len(bundle.manifest.members),
            "vote": bundle.manifest.vote.rule,
        },
        "counts": {label: counts[label] for label in (*bundle.labels, UNCLASSIFIED)},
        "scores": scores and _scores_table(scores),
        "images": [
            {
                "path": each.name,
                "truth": each.truth,
                "label": each.label,
                "votes": each.votes,
                "score": round(each.score, 4),
            }
            for each in judged
            if each.label
        ],
        "rejects": [
            {"path": each.name, "truth": each.truth, "reason": each.reason, "detail": each.detail}
            for each in judged
            if each.reason
        ],
    }
    return json_bytes(content).decode()


def judged_table(bundle: Bundle, judged: Sequence[Judged], scores: Scores | None) -> RenderableType:
    """For the screen; never longer than the label list allows."""
    parts: list[RenderableType] = []
    if scores:
        parts += [_class_scores(scores), scores_lines(scores)]
    elif len(judged) <= FEW:
        parts.append(_rows(bundle, judged))
    else:
        parts.append(_count_rows(bundle, judged))
    parts.append(_reject_lines(judged))
    if scores or len(judged) > FEW:
        parts.append(Text("A row for each file: --format csv", style="dim"))
    return Group(*parts)


def scores_lines(scores: Scores) -> Text:
    """The three figures, and over what."""
    unclassified = f", of which {scores.unclassified} unclassified" if scores.unclassified else ""
    classes = sum(1 for each in scores.classes.values() if each.images)
    low, high = scores.accuracy_interval
    return Text(
        f"accuracy           {scores.accuracy:6.1%}   {scores.right} right of {scores.images} images "
        f"(95 % interval {low:.1%} to {high:.1%}); {scores.images - scores.right} wrong{unclassified}\n"
        f"balanced accuracy  {scores.balanced_accuracy:6.1%}   mean recall of the {classes} classes in the folder\n"
        f"macro-F1           {scores.macro_f1:6.1%}   mean F1 of the {len(scores.classes)} classes in folder or verdicts"
    )


def files_line(judged: Sequence[Judged]) -> str:
    """What became of the files, as a sum that comes out."""
    rejected = sum(1 for each in judged if each.reason)
    return f"files {len(judged)} = classified {len(judged) - rejected} + rejected {rejected}"


def _rows(bundle: Bundle, judged: Sequence[Judged]) -> RenderableType:
    members = len(bundle.manifest.members)
    rows = table("Verdicts")
    rows.add_column("file", overflow="fold")
    rows.add_column("label", overflow="fold")
    rows.add_column("votes", justify="right")
    rows.add_column("score", justify="right")
    for each in judged:
        if each.label:
            rows.add_row(each.name, each.label, f"{each.votes}/{members}", f"{each.score:.2f}")
        else:
            rows.add_row(each.name, f"rejected: {each.reason}")
    return rows


def _count_rows(bundle: Bundle, judged: Sequence[Judged]) -> RenderableType:
    counts = _counts(judged)
    rows = table("Counts")
    rows.add_column("label", overflow="fold")
    rows.add_column("images", justify="right")
    rows.add_column("share", justify="right")
    for label, images in counts.most_common():
        rows.add_row(label, str(images), f"{images / counts.total():.1%}")
    absent = sum(1 for label in bundle.labels if label not in counts)
    rows.caption = f"labels not found: {absent}" if absent else None
    return rows


def _class_scores(scores: Scores) -> RenderableType:
    rows = table("Against the folder's classes")
    rows.add_column("class", overflow="fold")
    for heading in ("images", "verdicts", "right", "recall", "precision", "F1"):
        rows.add_column(heading, justify="right")
    for label, each in sorted(scores.classes.items(), key=lambda item: -item[1].images):
        shares = [each.recall, each.precision, each.f1]
        rows.add_row(
            label,
            *map(str, (each.images, each.verdicts, each.right)),
            *("–" if share is None else f"{share:.1%}" for share in shares),
        )
    return rows


def _reject_lines(judged: Sequence[Judged]) -> Text:
    rejects = [each for each in judged if each.reason]
    lines = [files_line(judged)]
    lines += [f"  {each.name}: {each.reason}: {each.detail}" for each in rejects[:SHOWN_REJECTS]]
    if len(rejects) > SHOWN_REJECTS:
        lines.append(f"  … and {len(rejects) - SHOWN_REJECTS} more")
    return Text("\n".join(lines))


def _scores_table(scores: Scores) -> dict[str, Any]:
    return {
        "images": scores.images,
        "right": scores.right,
        "unclassified": scores.unclassified,
        "accuracy": round(scores.accuracy, 6),
        "accuracy_interval": [round(bound, 6) for bound in scores.accuracy_interval],
        "balanced_accuracy": round(scores.balanced_accuracy, 6),
        "macro_f1": round(scores.macro_f1, 6),
        "classes": {
            label: {
                "images": each.images,
                "verdicts": each.verdicts,
                "right": each.right,
                "recall": each.recall,
                "precision": each.precision,
                "f1": each.f1,
            }
            for label, each in scores.classes.items()
        },
    }


def _counts(judged: Sequence[Judged]) -> Counter[str]:
    return Counter(each.label for each in judged if each.label)
