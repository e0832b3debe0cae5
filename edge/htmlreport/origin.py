"""The page's end: what quality control set aside, and where all of it comes from."""

from __future__ import annotations

from pathlib import PurePath

from edge.bins import utc_text
from edge.htmlreport.markup import Child, Markup, element
from edge.htmlreport.parts import facts, row, section, table
from edge.htmlreport.source import Source
from edge.htmlreport.spell import instant, plural, share, whole


def quality(source: Source) -> Markup:
    """By rule what was set aside, and in which bins images were dropped."""
    counts = source.reported.counts
    rows = (row(rule, whole(images), share(images, counts.accounting.seen)) for rule, images in source.aside.items())
    dropped = [bin_ for bin_ in counts.bins if bin_.dropped]
    lost = sorted(dropped, key=lambda bin_: -bin_.dropped)[:20]
    drops = (
        row(instant(bin_.start_ns), whole(bin_.dropped), share(bin_.dropped, bin_.dropped + sum(bin_.counts.values())))
        for bin_ in lost
    )
    words = f"Images left out under overload, the {len(lost)} worst of {plural(len(dropped), 'bin')}"
    return section(
        "quality",
        "Quality control",
        table(
            "Set aside by rule, in the whole ledger",
            ("rule", "images", "of seen"),
            element("tbody", rows),
            name="Rules",
        )
        if source.aside
        else element("p", "No image is set aside by a rule."),
        table(words, ("bin", "images", "of the bin"), element("tbody", drops), name="Dropped")
        if dropped
        else element("p", "No image was dropped" + (" in this time." if counts.bins else ".")),
    )


def _survey(source: Source) -> Child:
    if source.origin.survey is None:
        return "none given: no volume, depth or position"
    told = (note.partition(": ") for note in source.reported.survey_notes)  # its name, not where it lies on the host
    return [source.origin.survey, ([element("br"), PurePath(log).name, *rest] for log, *rest in told)]


def provenance(source: Source) -> Markup:
    """What a second person needs to make the same numbers."""
    origin, reported = source.origin, source.reported
    pairs: list[tuple[Child, Child]] = []
    for bundle, share_ in reported.counts.by_bundle:
        counted = f"{plural(sum(share_.values()), 'image')} counted, {len(bundle.labels)} labels"
        pairs.append((f"Classifier {bundle.name}", [counted, element("br"), element("code", bundle.digest)]))
    if verified := sum(reported.counts.verified.values()):
        pairs.append(("Looked at by people", f"{plural(verified, 'image')} of these; what they said is counted"))
    pairs += [
        (
            "Errors of the classifier",
            reported.note
            or ("taken out as the bundle's validation images show them" if source.corrected else "nothing counted"),
        ),
        ("Ledger", origin.ledger),
        ("Survey", _survey(source)),
        (
            "Bins",
            "the survey's tows" if reported.by_tow else f"{origin.width}, counted from 1970-01-01T00:00Z, [start, end)",
        ),
        ("Seed of samples", str(origin.seed)),
        ("Written", utc_text(origin.written_ns)),
    ]
    pairs += [(name, version) for name, version in origin.versions.items()]
    return section("provenance", "Provenance", facts(pairs))
