"""All that a report says in numbers: counts, what they are corrected to, and the water they came from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bundle.errors import BadConfig
from bundle.labels import UNCLASSIFIED
from bundle.taxa import Taxon, read_taxa
from edge.corrections.history import labels_beside
from edge.corrections.humanlabel import HumanLabel
from edge.counts import Bin, Counts, add_up, at_work, one_moment, read_counts
from edge.estimates.estimate import Estimate, Estimates, estimate
from edge.estimates.validated import bundle_of, read_validated
from edge.scoresample import sampler
from edge.survey.conditions import Conditions
from edge.survey.surveyfile import Survey
from edge.survey.tows import Tow
from edge.survey.volume import Concentration, Sampled, concentration

NO_BUNDLE = "There is no corrected count: the bundle {0} that counted is not at hand; give its folder with --bundle."


@dataclass(frozen=True, eq=False)
class Reported:
    """One report. Parallel to the bins of `counts`: the estimates' bins, `sampled_bins` and `tow_names`."""

    counts: Counts
    estimates: Estimates
    taxa: Mapping[str, Taxon] = field(default_factory=dict)  # by label, of the bundles at hand
    bundle: Path | None = None  # the folder of the one that counted, where it is at hand
    sampled: Sampled | None = None  # in all the time reported; None: no survey was given
    sampled_bins: tuple[Sampled, ...] = ()
    tows: tuple[Tow, ...] = ()
    tow_names: tuple[str, ...] = ()  # of each bin, joined by " + "
    conditions: Conditions | None = None  # of the survey
    by_tow: bool = False  # the bins are tows

    @property
    def note(self) -> str | None:
        """Why there is no corrected count."""
        return self.estimates.note

    @property
    def survey_notes(self) -> tuple[str, ...]:
        """What is not quite right in the survey's logs, each a sentence that begins with the log's path."""
        return () if self.conditions is None else self.conditions.notes

    def per_m3(self, label: str) -> Concentration | None:
        """Of all the time reported; None: not known."""
        return None if self.sampled is None else _concentration(self.estimates.totals.get(label), self.sampled)

    def per_m3_in(self, number: int, label: str) -> Concentration | None:
        """Of a bin."""
        if not self.sampled_bins:
            return None
        return _concentration(self.estimates.bins[number].get(label), self.sampled_bins[number])

    @property
    def ranked(self) -> list[str]:
        """Labels that were found, the most frequent first, without `unclassified`."""
        totals = self.counts.totals
        return sorted(
            (label for label in totals if totals[label] and label != UNCLASSIFIED), key=lambda each: -totals[each]
        )

    def name(self, label: str) -> str:
        """What people call the label; the label itself where no table says."""
        taxon = self.taxa.get(label)
        return taxon.display_name if taxon else label


def read_reported(
    connection: sqlite3.Connection,
    width_ns: int | None = None,
    from_ns: int | None = None,
    to_ns: int | None = None,
    *,
    classifier: str | None = None,
    bundle: Path | None = None,
    survey: Survey | None = None,
    by_tow: bool = False,
) -> Reported:
    """The report of one moment of the ledger; images captured in [from_ns, to_ns), UTC ns, as `read_counts` has it.

    classifier: the digest, or its beginning, of the bundle whose verdicts are meant; None: all.
    bundle: the folder of that bundle, where it is not one that ships.
    by_tow: the bins are the survey's tows, whatever the width. Raises BadConfig, BadBundle.
    """
    labels = labels_beside(connection)
    with one_moment(connection):
        counts = read_counts(connection, None if by_tow else width_ns, from_ns, to_ns, classifier, labels)
        tows = () if survey is None else survey.deployments(connection)
        whole = counts
        if by_tow:
            if not tows:
                raise BadConfig("bins of tows need tows; give a --survey with a table [tows]")
            counts = replace(counts, bins=_tow_bins(connection, counts, tows, classifier, labels))
        chosen = at_work(counts)
        if bundle is not None and len(chosen) > 1:
            raise BadConfig(
                f"{len(chosen)} classifiers gave these verdicts ({', '.join(map(str, chosen))}), and --bundle is of one; "
                "choose that one with --classifier"
            )
        folder = bundle_of(chosen[0].digest, bundle) if len(chosen) == 1 else None
        validated = None if folder is None else read_validated(folder)
        estimates = estimate(counts, validated, scored=sampler(connection, counts, labels))
        if by_tow:  # not all images need lie in a tow: the totals are of all the same
            totals = estimate(whole, validated, scored=sampler(connection, whole, labels)).totals
            estimates = replace(estimates, totals=totals)
        if not chosen:
            estimates = replace(estimates, note=None)  # nothing to correct
        elif len(chosen) == 1 and folder is None:
            estimates = replace(estimates, note=NO_BUNDLE.format(chosen[0]))
        folders = [folder] if folder else [bundle_of(each.digest, None) for each in chosen]
        taxa: dict[str, Taxon] = {}
        for each in folders:
            taxa = {**(read_taxa(each) if each else {}), **taxa}
        bare = Reported(counts, estimates, taxa, folder, tows=tows, by_tow=by_tow)
        return bare if survey is None else _surveyed(connection, bare, survey)


def _tow_bins(
    connection: sqlite3.Connection,
    counts: Counts,
    tows: Sequence[Tow],
    classifier: str | None,
    labels: Mapping[bytes, HumanLabel],
) -> tuple[Bin, ...]:
    """A bin for each tow in which something was classified or dropped, of what lies in the stretch asked for."""
    bins = []
    for start, end in clipped([(tow.start_ns, tow.end_ns) for tow in tows], counts.from_ns, counts.to_ns):
        if start >= end:
            continue
        its = read_counts(connection, None, start, end, classifier, labels)
        here = at_work(its)
        (dropped,) = connection.execute(
            "SELECT COUNT(*) FROM sighting WHERE dropped IS NOT NULL AND capture_ns >= ? AND capture_ns < ?",
            (start, end),
        ).fetchone()
        if here or dropped:
            found = add_up(share for bundle, share in its.by_bundle if bundle in here)
            bins.append(Bin(start, end, found, here, int(dropped), its.verified))
    return tuple(bins)


def span_ns(connection: sqlite3.Connection, from_ns: int | None, to_ns: int | None) -> tuple[int, int] | None:
    """[first, last] capture time of what was classified in [from_ns, to_ns), UTC ns; None: nothing was."""
    since = -(2**63) if from_ns is None else from_ns
    until = 2**63 - 1 if to_ns is None else to_ns - 1
    query = "SELECT capture_ns FROM image WHERE reason IS NULL AND capture_ns BETWEEN ? AND ? ORDER BY capture_ns {} LIMIT 1"
    ends = [connection.execute(query.format(order), (since, until)).fetchone() for order in ("ASC", "DESC")]
    return (int(ends[0][0]), int(ends[1][0])) if ends[0] else None


def clipped(stretches: Sequence[tuple[int, int]], from_ns: int | None, to_ns: int | None) -> list[tuple[int, int]]:
    """Those parts of [start, end) that lie in [from_ns, to_ns), UTC ns; None: no bound."""
    return [
        (start if from_ns is None else max(start, from_ns),
         end if to_ns is None else min(end, to_ns))
        for start, end in stretches
    ]  # fmt: skip


def _surveyed(connection: sqlite3.Connection, bare: Reported, survey: Survey) -> Reported:
    counts = bare.counts
    conditions = survey.conditions()
    span = span_ns(connection, counts.from_ns, counts.to_ns)
    sampled = survey.sampled(connection, [(span[0], span[1] + 1)], conditions)[0] if span else None
    stretches = clipped([(each.start_ns, each.end_ns) for each in counts.bins], counts.from_ns, counts.to_ns)
    return replace(
        bare,
        conditions=conditions,
        sampled=sampled,
        sampled_bins=survey.sampled(connection, stretches, conditions) if stretches else (),
        tow_names=tuple(
            " + ".join(tow.name for tow in bare.tows if tow.start_ns < end and start < tow.end_ns)
            for start, end in stretches
        ),
    )


def _concentration(estimated: Estimate | None, sampled: Sampled) -> Concentration | None:
    return None if estimated is None else concentration(estimated, sampled)
