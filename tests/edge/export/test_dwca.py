"""The Darwin Core Archive, opened with python-dwca-reader and checked by the rules of the format's own text guide."""

import json
import zipfile
from xml.etree import ElementTree

import pytest

from edge.ledger.ledgerfile import open_ledger_readonly

from ..filled import fill, other_bundle

DWC, OBIS, TEXT = "http://rs.tdwg.org/dwc/terms/", "http://rs.iobis.org/obis/terms/", "{http://rs.tdwg.org/dwc/text/}"
# The terms that rs.gbif.org lists for the three row types, as far as an export could use them.
KNOWN = {
    f"{DWC}Event": {
        *(
            "eventID",
            "parentEventID",
            "eventType",
            "eventDate",
            "samplingProtocol",
            "sampleSizeValue",
            "sampleSizeUnit",
        ),
        *("samplingEffort", "decimalLatitude", "decimalLongitude", "geodeticDatum", "minimumDepthInMeters"),
        *("maximumDepthInMeters", "eventRemarks"),
    },
    f"{DWC}Occurrence": {
        *("eventID", "occurrenceID", "basisOfRecord", "occurrenceStatus", "individualCount", "organismQuantity"),
        *("organismQuantityType", "scientificName", "scientificNameID", "verbatimIdentification", "identifiedBy"),
        *("identificationVerificationStatus", "identificationReferences", "taxonRemarks", "vernacularName"),
    },
    f"{OBIS}ExtendedMeasurementOrFact": {
        *("eventID", "measurementID", "occurrenceID", "measurementType", "measurementTypeID", "measurementValue"),
        *("measurementUnit", "measurementUnitID", "measurementAccuracy", "measurementMethod", "measurementRemarks"),
    },
}
OF_OBIS = {"measurementTypeID", "measurementUnitID", "measurementValueID"}


def tables(path) -> dict[str, list[dict[str, str]]]:
    """Row type -> rows; meta.xml describes the files as they are, every id leads to an event, the EML is whole."""
    with zipfile.ZipFile(path) as zipped:
        assert zipped.testzip() is None
        files = {name: zipped.read(name).decode() for name in zipped.namelist()}
    meta = ElementTree.fromstring(files["meta.xml"])
    assert meta.tag == f"{TEXT}archive"
    eml = ElementTree.fromstring(files[meta.get("metadata")])
    assert eml.tag == "{https://eml.ecoinformatics.org/eml-2.2.0}eml"
    order = [
        "title",
        "creator",
        "metadataProvider",
        "pubDate",
        "language",
        "abstract",
        "intellectualRights",
        "coverage",
    ]
    order += ["contact", "methods"]  # of a sequence in the schema
    parts = [part.tag for part in eml.find("dataset")]
    assert parts == sorted(parts, key=order.index)
    assert {"title", "creator", "pubDate", "abstract", "contact"} <= set(parts)
    found = {}
    for described in (meta.find(f"{TEXT}core"), *meta.findall(f"{TEXT}extension")):
        row_type = described.get("rowType")
        fields = {int(field.get("index")): field.get("term") for field in described.findall(f"{TEXT}field")}
        for term in fields.values():
            base, name = term[: term.rindex("/") + 1], term[term.rindex("/") + 1 :]
            assert name in KNOWN[row_type]
            assert base == (OBIS if name in OF_OBIS else DWC)
        assert described.find(f"{TEXT}id" if described.tag == f"{TEXT}core" else f"{TEXT}coreid").get("index") == "0"
        text = files[described.find(f"{TEXT}files/{TEXT}location").text]
        head, *lines = [line.split("\t") for line in text.split("\n")[:-1]]
        assert text.endswith("\n")
        assert sorted(fields) == list(range(1, len(head)))
        assert all(len(line) == len(head) for line in lines)
        assert head[1:] == [term[term.rindex("/") + 1 :] for _, term in sorted(fields.items())]
        found[row_type.rpartition("/")[2]] = [dict(zip(head, line, strict=True)) for line in lines]
    events = [row["id"] for row in found["Event"]]
    assert len(set(events)) == len(events)
    occurrences = [row["occurrenceID"] for row in found["Occurrence"]]
    assert len(set(occurrences)) == len(occurrences)
    measured = found["ExtendedMeasurementOrFact"]
    assert len({row["measurementID"] for row in measured}) == len(measured)
    for row in (*found["Occurrence"], *measured):
        assert row["id"] == row["eventID"]
        assert row["id"] in events
    assert {row["occurrenceID"] for row in measured} - {""} <= set(occurrences)
    for row in found["Occurrence"]:
        assert row["basisOfRecord"] == "MachineObservation"
        assert row["identificationVerificationStatus"] == "PredictedByMachine"
        assert row["occurrenceStatus"] == ("present" if int(row["individualCount"]) else "absent")
        assert row["scientificName"]
    return found


def test_every_bin_is_an_event_and_what_was_looked_for_and_not_found_is_absent(tmp_path, tiny, export):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:59:59", 2), ("12:00:00", 2)], dropped=["12:10:00", "14:00:00"])
    done = export(
        "dwca", "--ledger", path, "--out", tmp_path / "d.zip", "--title", "A & B <tow>", "--creator", "A. Person"
    )
    assert (done.exit_code, done.stderr) == (0, "")
    found = tables(tmp_path / "d.zip")
    assert [row["eventDate"] for row in found["Event"]] == [
        "2026-11-25T10:00:00Z/2026-11-25T11:00:00Z",
        "2026-11-25T12:00:00Z/2026-11-25T13:00:00Z",
        "2026-11-25T14:00:00Z/2026-11-25T15:00:00Z",
    ]
    counts = [(row["id"], row["verbatimIdentification"], row["individualCount"]) for row in found["Occurrence"]]
    ten, twelve = "A_B_tow:20261125T100000Z", "A_B_tow:20261125T120000Z"
    assert counts == [
        (ten, "chain", "1"),
        (ten, "sphere", "0"),
        (ten, "jelly", "1"),
        (twelve, "chain", "0"),
        (twelve, "sphere", "0"),
        (twelve, "jelly", "1"),
    ], "nothing was looked at at 14 o'clock: that is no absence"
    facts = {(row["id"], row["measurementType"]): row["measurementValue"] for row in found["ExtendedMeasurementOrFact"]}
    assert facts[twelve, "Images left out under overload"] == "1"
    assert facts[ten, "Images that the members did not agree on"] == "0"


def test_raw_and_raised_counts_stand_side_by_side_with_their_interval(tmp_path, tiny, export):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 0), ("10:10:00", 0), ("10:20:00", 2)], dropped=["10:30:00"])
    export("dwca", "--ledger", path, "--out", tmp_path / "d.zip")
    measured = tables(tmp_path / "d.zip")["ExtendedMeasurementOrFact"]
    chain = {row["measurementMethod"]: row for row in measured if row["occurrenceID"].endswith(":chain")}
    assert chain["raw: images with this verdict"]["measurementValue"] == "2"
    assert chain[
        "raised for images left out under overload; interval of the sampling alone, no error of the classifier"
    ]["measurementAccuracy"].startswith("95 % interval ")
    assert all(row["measurementTypeID"].endswith("/P01/current/OCOUNT01/") for row in chain.values())


def test_the_archive_opens_in_the_reader_of_its_field(cruise, tmp_path, export):
    reading = pytest.importorskip("dwca.read")
    export("dwca", "--ledger", cruise.ledger, "--out", tmp_path / "d.zip", "--bin", "30m", "--license", "CC-BY-4.0")
    with reading.DwCAReader(str(tmp_path / "d.zip")) as archive:
        assert archive.descriptor.core.type == f"{DWC}Event"
        assert archive.metadata.find("dataset/title").text == "cruise"
        rows = list(archive)
        assert len(rows) == 4  # ten images, one every ten minutes
        occurrences = [line.data for row in rows for line in row.extensions if line.rowtype == f"{DWC}Occurrence"]
        measured = [line.data for row in rows for line in row.extensions if line.rowtype.startswith(OBIS)]
    counts = {}
    for data in occurrences:
        name = data[f"{DWC}scientificName"]
        counts[name] = counts.get(name, 0) + int(data[f"{DWC}individualCount"])
    assert counts == {"chain": 4, "sphere": 3, "jelly": 3}
    assert len(measured) >= len(occurrences)


def test_labels_of_odd_characters_break_no_table(tmp_path, tiny, export):
    path = tmp_path / "ledger.sqlite"
    labels = ("a\tb\nc", 'quote " & <tag>', "\u4e2d\u6587 é", "a b c")
    fill(path, other_bundle(tiny, labels), counted=[("10:00:00", 0), ("10:10:00", 2)])
    done = export("dwca", "--ledger", path, "--out", tmp_path / "d.zip", bundle=None)
    assert done.exit_code == 0, done.stderr
    names = [row["scientificName"] for row in tables(tmp_path / "d.zip")["Occurrence"]]
    assert names == ["a b c", 'quote " & <tag>', "\u4e2d\u6587 é", "a b c"]


def test_labels_of_several_classifiers_add_up_and_both_are_named(tmp_path, tiny, export):
    path = tmp_path / "ledger.sqlite"
    fill(path, tiny, counted=[("10:00:00", 2)])
    fill(path, other_bundle(tiny, ("jelly", "worm")), counted=[("10:10:00", 0)])
    done = export("dwca", "--ledger", path, "--out", tmp_path / "d.zip")
    rows = {row["verbatimIdentification"]: row for row in tables(tmp_path / "d.zip")["Occurrence"]}
    assert (rows["jelly"]["individualCount"], rows["worm"]["individualCount"]) == ("2", "0")
    assert tiny.digest in rows["jelly"]["identificationReferences"]
    assert "cd" * 32 in rows["jelly"]["identificationReferences"]
    with zipfile.ZipFile(tmp_path / "d.zip") as zipped:
        assert len(json.loads(zipped.read("planktow.json"))["bundles"]) == 2
    assert "--bundle" in done.stdout


def test_the_counts_are_those_of_the_report(cruise, tmp_path, export):
    from edge.counts import read_counts

    export("dwca", "--ledger", cruise.ledger, "--out", tmp_path / "d.zip", "--bin", "10m")
    connection = open_ledger_readonly(cruise.ledger)
    totals = dict(read_counts(connection, None).totals)
    connection.close()
    totals.pop("unclassified")
    found = dict.fromkeys(totals, 0)
    for row in tables(tmp_path / "d.zip")["Occurrence"]:
        found[row["verbatimIdentification"]] += int(row["individualCount"])
    assert found == totals
