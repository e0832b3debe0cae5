"""What a person can say of an image, and choose, as forms. All of them work without JavaScript; look.js adds speed."""

from __future__ import annotations

from collections.abc import Sequence

from bundle.labels import UNCLASSIFIED
from edge.corrections.humanlabel import LABEL_LETTERS, PERSON_LETTERS
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.spell import plural
from edge.web.looking import ORDERS, Seen
from edge.web.lookparts import FORM, Look, choice_fields, fields, key_cap, label_button, words_of

CANNOT_TELL = "Cannot tell"


def choice(look: Look) -> Markup:
    wanted, names = look.wanted, [name for name in look.names if name != UNCLASSIFIED]
    if wanted.species and wanted.species not in (*names, UNCLASSIFIED):
        names = [wanted.species, *names]
    options = [
        ("", "any label"),
        (UNCLASSIFIED, "unclassified"),
        *((name, words_of(name, look.taxa)) for name in names),
    ]
    votes = [("", "any votes"), *((str(number), plural(number, "vote")) for number in range(6))]
    chosen = [dict(options)[wanted.species], dict(votes).get(str(wanted.votes), "any votes"), ORDERS[wanted.order]]
    chosen += ["also those looked at"] if wanted.seen else []
    form = element(
        "form",
        _select("species", "Machine said", options, wanted.species),
        _select("votes", "Votes", votes, "" if wanted.votes is None else str(wanted.votes)),
        _select("order", "Order", list(ORDERS.items()), wanted.order),
        element("label", element("input", type="checkbox", name="seen", value="1", checked=wanted.seen),
                " also those looked at", class_="check"),
        element("input", type="hidden", name="before", value=wanted.before) if wanted.before is not None else None,
        element("button", "Show", type="submit"),
        method="get",
        action="/look",
        class_="choice",
        aria_label="Which images",
    )  # fmt: skip
    return element("details", element("summary", "Which images: ", element("strong", " · ".join(chosen))), form)


def _select(name: str, words: str, options: Sequence[tuple[str, str]], chosen: str) -> Markup:
    return element(
        "label",
        element("span", words),
        element("select", (element("option", text, value=value, selected=value == chosen) for value, text in options),
                name=name),
    )  # fmt: skip


def actions(look: Look, seen: Seen) -> Child:
    if not look.writing:
        return element(
            "p", "This page was started without a token: images can be looked at, but not labelled.", class_="note"
        )
    if not look.writer:
        return element("p", element("a", "Sign in", href="/login?back=/look", class_="button primary"),
                       " to confirm or correct labels.", class_="panel")  # fmt: skip
    if look.person is None:
        return _who(look, seen)
    confirm = None
    if seen.verdict != UNCLASSIFIED:
        confirm = element("button", "Yes, ", words_of(seen.verdict, look.taxa), key_cap("Enter"), name="label",
                          value=seen.verdict, type="submit", class_="primary confirm", data_key="c",
                          data_help="Confirm what the machine said (Enter too)")  # fmt: skip
    return [
        element(
            "form",
            *fields(seen, look.wanted, look.following),
            element("div", confirm,
                    element("button", CANNOT_TELL, key_cap("u"), name="label", value=UNCLASSIFIED, type="submit",
                            data_key="u", data_help="Cannot tell: counts as unclassified"), class_="yes"),
            _suggested(look),
            method="post",
            action="/look/label",
            id=FORM,
        ),
        _all_labels(look, seen),
        element(
            "form",
            element("span", "You are ", element("strong", look.person), ". "),
            element("input", type="hidden", name="person", value=""),
            element("input", type="hidden", name="image", value=seen.image_id),
            choice_fields(look.wanted),
            element("button", "Somebody else", type="submit", class_="small"),
            method="post",
            action="/look/name",
            class_="quiet who",
        ),
    ]  # fmt: skip


def _suggested(look: Look) -> Child:
    if not look.suggested:
        return None
    return element(
        "fieldset",
        element("legend", "Or is it"),
        (
            label_button(label, words_of(label, look.taxa), str(number))
            for number, label in enumerate(look.suggested, start=1)
        ),
        class_="suggested",
    )


def _all_labels(look: Look, seen: Seen) -> Markup:
    """A field to type in; what is typed filters the list, and a label that is not in it can be given all the same."""
    names = sorted(
        (name for name in look.names if name != UNCLASSIFIED), key=lambda name: words_of(name, look.taxa).lower()
    )
    return element(
        "section",
        element(
            "form",
            *fields(seen, look.wanted, look.following),
            element("label", "Another label", for_="other"),
            element("div",
                    element("input", type="search", id="other", name="label", maxlength=LABEL_LETTERS, required=True,
                            autocomplete="off", autocapitalize="off", spellcheck="false", data_key="/",
                            data_help="Search all labels", placeholder="search, or a name of your own",
                            aria_controls="all-labels"),
                    element("button", "Give", type="submit"),
                    class_="typed"),
            method="post",
            action="/look/label",
            id="other-form",
        ),
        element("p", class_="quiet found", id="found", aria_live="polite"),
        element("ul", (
            element("li", label_button(name, words_of(name, look.taxa), form=FORM, code=True)) for name in names
        ), id="all-labels", tabindex="0", aria_label="All labels"),
        class_="panel all",
    )  # fmt: skip


def _who(look: Look, seen: Seen) -> Markup:
    return element(
        "form",
        element("p", element("label", "Who looks?", for_="person")),
        element("p", element("input", id="person", name="person", required=True, maxlength=PERSON_LETTERS,
                             autocomplete="name"),
                " ", element("button", "Begin", type="submit", class_="primary")),
        element("p", "Your name is kept beside each label that you give, and in this browser.", class_="quiet"),
        element("input", type="hidden", name="image", value=seen.image_id),
        choice_fields(look.wanted),
        method="post",
        action="/look/name",
        class_="panel",
    )  # fmt: skip


def undo(look: Look) -> Child:
    done = look.undoable
    if done is None or not look.writer:
        return None
    return element(
        "form",
        element("span", "You said ", element("strong", words_of(done.label, look.taxa)), f" of image {done.image_id}.",
                role="status"),
        element("button", "Undo", key_cap("z"), type="submit", data_key="z", data_help="Undo your last label"),
        element("input", type="hidden", name="said", value=done.number),
        element("input", type="hidden", name="image", value=done.image_id),
        choice_fields(look.wanted),
        method="post",
        action="/look/undo",
        class_="undo",
    )  # fmt: skip
