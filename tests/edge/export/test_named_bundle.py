"""Exports of a bundle that names its taxa and knows its errors: scientific names, categories, corrected counts."""

import json
from dataclasses import replace

import pytest

from bundle.folder import write_bundle
from bundle.manifest import HashedFile
from bundle.whole import sha256_hex

from .cruise import sail
from .test_dwca import tables
from .test_ecotaxa import opened as opened_ecotaxa

TAXA = """label,display_name,group,aphia_id,ecotaxa,living
chain,Diatom chains,diatoms,148899,Bacillariophyta<Diatomea,yes
sphere,Bubble,artefacts,,,no
jelly,Jellyfish,gelatinous,,ephyra<Scyphozoa,
"""
CONFUSION = [[80, 10, 10, 0], [0, 100, 0, 0], [20, 0, 80, 0]]  # a fifth of the jellies are taken for chains


@pytest.fixture
def named(tmp_path, tiny):
    """The tiny bundle with the two records, in tmp_path/named, and a cruise with it."""
    records = {
        "taxa.csv": TAXA.encode(),
        "validation.json": json.dumps({"labels": list(tiny.labels), "confusion": CONFUSION}).encode(),
    }
    others = [record for record in tiny.manifest.records if record.file not in records]
    hashed = [HashedFile(name, sha256_hex(data)) for name, data in records.items()]
    manifest = replace(tiny.manifest, name="named", records=(*others, *hashed))
    bundle = write_bundle(tmp_path / "named", manifest, {**tiny.contents, **records})
    return sail(tmp_path, bundle, images_each=12)


def test_categories_of_ecotaxa_come_from_the_bundle_and_else_the_display_name(named, export, tmp_path):
    given = ["--ledger", named.ledger, "--images", named.watch, "--out", tmp_path / "e.zip"]
    assert export("ecotaxa", *given, bundle=tmp_path / "named").exit_code == 0
    rows = opened_ecotaxa(tmp_path / "e.zip")[0]
    assert {(row["object_label"], row["object_annotation_category"]) for row in rows} == {
        ("chain", "Bacillariophyta<Diatomea"),
        ("sphere", "Bubble"),
        ("jelly", "ephyra<Scyphozoa"),
    }


def test_what_does_not_live_is_a_measurement_and_no_occurrence(named, export, tmp_path):
    export("dwca", "--ledger", named.ledger, "--out", tmp_path / "d.zip", bundle=tmp_path / "named")
    found = tables(tmp_path / "d.zip")
    columns = ("verbatimIdentification", "vernacularName", "scientificName", "scientificNameID")
    assert {tuple(row[column] for column in columns) for row in found["Occurrence"]} == {
        ("chain", "Diatom chains", "Bacillariophyta", "urn:lsid:marinespecies.org:taxname:148899"),
        ("jelly", "Jellyfish", "Scyphozoa", ""),
    }
    bubbles = [row for row in found["ExtendedMeasurementOrFact"] if row["measurementType"] == "Images of sphere"]
    assert sum(int(row["measurementValue"]) for row in bubbles) == 12


def test_corrected_counts_stand_beside_raw_ones_in_the_archive_and_the_netcdf(named, export, tmp_path):
    netcdf4 = pytest.importorskip("netCDF4")
    given = ["--ledger", named.ledger, "--bin", "1d"]
    for form, name in (("dwca", "d.zip"), ("netcdf", "c.nc")):
        done = export(form, *given, "--out", tmp_path / name, bundle=tmp_path / "named")
        assert done.exit_code == 0
        assert "no corrected count" not in done.stdout
    (event,) = tables(tmp_path / "d.zip")["Event"]
    measured = tables(tmp_path / "d.zip")["ExtendedMeasurementOrFact"]
    (row,) = [
        row
        for row in measured
        if row["occurrenceID"] == f"{event['id']}:chain" and "errors taken out" in row["measurementMethod"]
    ]
    with netcdf4.Dataset(tmp_path / "c.nc") as file:
        chain = list(file["label"][:]).index("chain")
        low, value, high = (float(file[f"corrected_{end}"][chain, 0]) for end in ("low", "count", "high"))
        assert file["taxon_lsid"][chain] == "urn:lsid:marinespecies.org:taxname:148899"
        assert not file["flags"][0] & 2
    assert low < value < high
    assert float(row["measurementValue"]) == pytest.approx(value, rel=1e-6)
    assert row["measurementAccuracy"] == f"95 % interval {low:.7g} to {high:.7g}"


def test_ifdo_lists_each_label_with_its_name_and_number_in_worms(named, export, tmp_path):
    export("ifdo", "--ledger", named.ledger, "--out", tmp_path / "i.json", bundle=tmp_path / "named")
    header = json.loads((tmp_path / "i.json").read_bytes())["image-set-header"]
    assert header["image-annotation-labels"][0] == {
        "id": "chain",
        "name": "Diatom chains",
        "info": "diatoms; urn:lsid:marinespecies.org:taxname:148899",
    }


def test_parquet_has_the_group_and_the_number_in_worms_of_each_image(named, export, tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    export("parquet", "--ledger", named.ledger, "--out", tmp_path / "p.parquet", bundle=tmp_path / "named")
    rows = pq.read_table(tmp_path / "p.parquet", columns=["label", "group", "aphia_id"]).to_pylist()
    assert {tuple(row.values()) for row in rows} == {
        ("chain", "diatoms", 148899),
        ("sphere", "artefacts", None),
        ("jelly", "gelatinous", None),
    }
