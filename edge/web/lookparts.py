"""What the page for looking at images shows, as a value, and the small parts that all of it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bundle.labels import UNCLASSIFIED
from bundle.taxa import Taxon
from edge.corrections.humanlabel import HumanLabel
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.spell import label_text
from edge.web.looking import Queue, Seen, Wanted

FORM = "look-form"  # the form that every label's button sends


@dataclass(frozen=True)
class Undoable:
    """What this person said last."""

    number: int  # of the row
    image_id: int
    label: str


@dataclass(frozen=True, eq=False)
class Look:
    """All that the page shows."""

    wanted: Wanted
    queue: Queue
    seen: Seen | None  # None: nothing is left
    human: HumanLabel | None  # what a person said of it before
    taxa: Mapping[str, Taxon]
    suggested: Sequence[str]
    names: Sequence[str]  # every label that can be chosen, `unclassified` last
    before: int | None
    following: int | None
    left: int  # in this choice
    today: int
    own: int  # of these, this person's
    person: str | None
    writer: bool
    writing: bool  # anybody may write
    undoable: Undoable | None

    @property
    def acts(self) -> bool:
        """Whether labels can be given here and now."""
        return self.writer and self.person is not None and self.seen is not None


def fields(seen: Seen, wanted: Wanted, following: int | None) -> tuple[Child, ...]:
    """What every label is sent with. The content tells whether the number still stands for the same image."""
    return (
        element("input", type="hidden", name="image", value=seen.image_id),
        element("input", type="hidden", name="sha256", value=seen.sha256.hex()),
        element("input", type="hidden", name="next", value=following) if following is not None else None,
        choice_fields(wanted),
    )


def choice_fields(wanted: Wanted) -> Child:
    told = {"species": wanted.species, "votes": wanted.votes, "order": wanted.order, "before": wanted.before}
    told["seen"] = 1 if wanted.seen else None
    return [
        element("input", type="hidden", name=name, value=value)
        for name, value in told.items()
        if value not in ("", None)
    ]


def label_button(label: str, words: str, key: str | None = None, form: str | None = None, code: bool = False) -> Markup:
    return element(
        "button",
        element("span", words),
        element("code", label) if code and words != label else None,
        key_cap(key) if key else None,
        name="label",
        value=label,
        type="submit",
        form=form,
        data_key=key,
        data_help=words if key else None,
    )


def key_cap(key: str) -> Markup:
    return element("kbd", key, aria_hidden="true")


def words_of(label: str, taxa: Mapping[str, Taxon]) -> str:
    """What people call it."""
    if label == UNCLASSIFIED:
        return "cannot tell"
    taxon = taxa.get(label)
    return taxon.display_name if taxon and taxon.display_name else label_text(label)
