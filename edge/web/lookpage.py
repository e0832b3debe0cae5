"""The page on which images are looked at, as HTML."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

from bundle.labels import UNCLASSIFIED
from edge.bins import SECOND_NS, utc_text
from edge.htmlreport.markup import Child, Markup, element, joined
from edge.htmlreport.spell import instant, plural, whole
from edge.web.lookforms import actions, choice, undo
from edge.web.looking import Seen, Wanted
from edge.web.lookparts import Look, fields, key_cap, label_button, words_of


def look_content(look: Look) -> list[Child]:
    """What stands under the title."""
    return [
        _progress(look),
        choice(look),
        element("div", _picture(look), _panel(look), class_="look") if look.seen else _nothing_left(look),
        _caveat(),
    ]


def question_content(
    seen: Seen, label: str, names: Sequence[str], wanted: Wanted, following: int | None, back: str
) -> list[Child]:
    """Asks whether a label that nobody has given before is meant: a slip of the fingers would be a species of its own."""
    near = get_close_matches(label.lower(), [name.lower() for name in names], 4, 0.6)
    meant = [name for name in names if name.lower() in near]
    hidden = (*fields(seen, wanted, following), element("input", type="hidden", name="new", value="1"))
    return [
        element("p", "No classifier here and nobody before has used the label ", element("strong", f"“{label}”"), "."),
        element(
            "form",
            *hidden,
            element("p", "Was one of these meant? ", (label_button(name, name) for name in meant)) if meant else None,
            element("p", element("button", f"Use “{label}” as a new label", name="label", value=label, type="submit",
                                 class_="primary"),
                    " ", element("a", "Back to the image", href=back, class_="button")),
            method="post",
            action="/look/label",
            class_="panel asked",
        ),
    ]  # fmt: skip


def _progress(look: Look) -> Markup:
    today = f"{plural(look.today, 'image')} looked at today (UTC)"
    if look.person is not None and look.today:
        today += f", {whole(look.own)} of them by you"
    queue = look.queue
    where = "No image has been counted yet."
    if queue.first_ns is not None and queue.last_ns is not None:
        which = "images counted last" if look.wanted.before is None else "images before those"
        where = (
            f"Of the {whole(queue.window)} {which} (counted {instant(queue.first_ns)} to {instant(queue.last_ns)}) "
            f"{whole(look.left)} in this choice are not yet looked at."
        )
    older = None
    if queue.lowest is not None:
        further = Wanted(look.wanted.species, look.wanted.votes, look.wanted.seen, look.wanted.order, queue.lowest)
        older = joined(" ", element("a", "Older ones", href=f"/look?{further.query()}"))
    newest = joined(" ", element("a", "The latest", href="/look")) if look.wanted.before is not None else None
    return element("p", element("strong", today + ". "), where, older, newest, class_="quiet progress")


def _picture(look: Look) -> Markup:
    seen = look.seen
    assert seen is not None
    size = f"{seen.width} × {seen.height} pixels" if seen.width and seen.height else "size not known"
    return element(
        "figure",
        element("div",
                element("img", src=f"/image/{seen.image_id}", alt=f"Image {seen.image_id}, {size}; the machine said "
                        f"{words_of(seen.verdict, look.taxa)}"),
                class_="frame"),
        element("figcaption", f"Image {seen.image_id} · {size} · taken {utc_text(seen.capture_ns // SECOND_NS * SECOND_NS)}",
                joined(" · ", element("span", seen.path, class_="path")) if seen.path else None),
        element("nav",
                _step("Previous", "p", look, look.before),
                _step("Next", "n", look, look.following),
                aria_label="Images", class_="steps"),
        undo(look),
        class_="picture",
        data_next=look.following,
    )  # fmt: skip


def _step(words: str, key: str, look: Look, image_id: int | None) -> Markup:
    if image_id is None:
        return element("span", words, class_="button none", aria_disabled="true")
    address = f"/look?{look.wanted.query(image=image_id)}"
    return element("a", words, key_cap(key), href=address, class_="button", data_key=key, data_help=f"{words} image")


def _panel(look: Look) -> Markup:
    seen = look.seen
    assert seen is not None
    return element("div", _verdict(look, seen), actions(look, seen), class_="judged")


def _verdict(look: Look, seen: Seen) -> Markup:
    of = "" if seen.asked is None else f" of {seen.asked} asked"
    unsure = seen.verdict == UNCLASSIFIED
    taxon = look.taxa.get(seen.verdict)
    group = f" · {taxon.group}" if taxon and taxon.group else ""
    human = look.human
    said: Child = None
    if human is not None and human.label is not None:
        agreed = " (as the machine)" if human.label == seen.verdict else ""
        said = element("p", f"{human.person} said ", element("strong", words_of(human.label, look.taxa)),
                       f"{agreed} · {instant(human.labelled_ns)}", class_="human")  # fmt: skip
    return element(
        "section",
        element("p", "The machine said", class_="quiet"),
        element("h2", "nothing certain" if unsure else words_of(seen.verdict, look.taxa)),
        None if unsure else element("p", element("code", seen.verdict)),
        element("p", f"{plural(seen.votes, 'vote')}{of} · score {seen.score:.2f}{group}"),
        element("meter", f"{seen.score:.2f}", min="0", max="1", value=f"{seen.score:.3f}", aria_label="score"),
        said,
        class_="panel verdict",
        aria_label="Verdict",
    )  # fmt: skip


def _nothing_left(look: Look) -> Markup:
    words = "No image has been counted yet." if not look.queue.window else "Nothing is left to look at in this choice."
    return element("div", element("p", words, class_="panel"), undo(look))


def _caveat() -> Markup:
    return element(
        "p",
        "A label given here is counted in the place of the machine's, in every report. Uncertain images are no random sample: "
        "how often the machine is wrong among them says nothing of the others. To judge the machine, look in random order.",
        class_="quiet caveat",
    )
