"""Downloads: every report and export, whole, one at a time, and nothing left behind."""

import csv
import io
import json
import threading
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from bundle.errors import BadConfig
from edge.web import making, offers
from edge.web.app import create_app
from edge.web.asked import Asked
from edge.web.downloads import OPEN_MOST, Shelf
from edge.web.making import file_name, make
from edge.web.offers import OFFERS, Options, read_options
from edge.web.place import Place
from edge.web.turns import Busy

from ..filled import TEN, fill
from .reading_page import Read
from .sailed import IMAGES, relabel, sailed


@pytest.fixture
def aboard(tmp_path, tiny, monkeypatch) -> Place:
    made = tmp_path / "made here"
    made.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(made))
    return sailed(tmp_path, tiny)


@pytest.fixture
def client(aboard) -> TestClient:
    return TestClient(create_app(aboard), base_url="http://127.0.0.1:8765")


def got(client: TestClient, address: str, media: str) -> bytes:
    answer = client.get(address)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith(media)
    assert answer.headers["content-disposition"].startswith('attachment; filename="planktow-cruise-')
    assert int(answer.headers["content-length"]) == len(answer.content)
    return answer.content


def test_every_offer_comes_whole_and_leaves_nothing_behind(client, aboard, tmp_path):
    relabel(aboard, 1, "jelly")
    for offer in OFFERS.values():
        assert got(client, f"/downloads/{offer.name}?bin=1h&samples=1", offer.media), offer.name
        assert list((tmp_path / "made here").iterdir()) == [], offer.name


def test_the_csv_holds_the_counts_of_the_command(client):
    text = got(client, "/downloads/report.csv?bin=1h&from=2026-11-25T11:00", "text/csv").decode()
    rows = list(csv.DictReader(line for line in io.StringIO(text) if not line.startswith("#")))
    assert sum(int(row["count"]) for row in rows) == IMAGES - 6
    assert {row["tow"] for row in rows} == {"tow1", "tow1 + tow2", "tow2"}
    assert all(row["per_m3"] for row in rows if row["corrected"])


def test_bins_may_be_tows(client):
    told = json.loads(got(client, "/downloads/report.json?bin=tow", "application/json"))
    assert [each["tow"] for each in told["bins"]] == ["tow1", "tow2"]


def test_the_report_to_read_has_sample_images_where_they_are_wanted(client):
    assert b"data:image/jpeg" in got(client, "/downloads/report.html?samples=1", "text/html")
    assert b"data:image/jpeg" not in got(client, "/downloads/report.html", "text/html")


def test_the_zip_for_ecotaxa_holds_the_images(client):
    with zipfile.ZipFile(io.BytesIO(got(client, "/downloads/ecotaxa.zip", "application/zip"))) as archive:
        names = archive.namelist()
        assert sum(name.startswith("ecotaxa") for name in names) == 1
        assert len(names) == len(set(names)) > IMAGES
        assert archive.testzip() is None


def test_what_people_labelled_comes_as_a_folder_to_train_on(client, aboard):
    relabel(aboard, 1, "jelly")
    with zipfile.ZipFile(io.BytesIO(got(client, "/downloads/labelled.zip", "application/zip"))) as archive:
        names = archive.namelist()
    assert names[1:] == ["labels.csv"]
    assert names[0].startswith("jelly/")
    assert got(client, "/downloads/labels.csv", "text/csv").decode().splitlines()[1].split(",")[2:5] == [
        "jelly",
        "chain",
        "A. Sailor",
    ]


def test_what_ecotaxa_would_refuse_for_its_size_comes_in_parts_in_one_zip(tmp_path):
    parts = [tmp_path / "a.zip", tmp_path / "b.zip"]
    for part in parts:
        part.write_bytes(part.name.encode())
    making._join(tuple(parts), tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as joined:
        assert {name: joined.read(name) for name in joined.namelist()} == {
            "ecotaxa-part-01.zip": b"a.zip",
            "ecotaxa-part-02.zip": b"b.zip",
        }
    assert [part.exists() for part in parts] == [False, False]


def test_a_title_and_authors_go_into_the_archive(client):
    query = "title=Winter+%26+spring&creator=A.+Sailor%3B+B.+Diver&license=CC-BY-4.0"
    with zipfile.ZipFile(io.BytesIO(got(client, f"/downloads/dwca.zip?{query}", "application/zip"))) as archive:
        eml = archive.read("eml.xml").decode()
    assert "Winter &amp; spring" in eml
    assert ("A. Sailor" in eml, "B. Diver" in eml, "CC-BY-4.0" in eml) == (True, True, True)


def test_names_of_files_hold_only_letters_that_every_system_takes(aboard):
    odd = replace(aboard, ledger=Path('/data/a "b"\r\n;é/..ledger.x.sqlite'), now_ns=lambda: TEN)
    asked = Options(Asked(from_ns=TEN, to_ns=TEN + 3600 * 10**9))
    assert file_name(odd, OFFERS["report.csv"], asked, TEN) == (
        "planktow-ledger-x-report-from-20261125T100000Z-to-20261125T110000Z-20261125T100000Z.csv"
    )


def test_what_cannot_be_made_is_a_page_and_not_a_broken_file(client, tmp_path, tiny):
    answer = client.get("/downloads/report.csv?from=never")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "text/html; charset=utf-8")
    assert "is not a time" in answer.text
    assert client.get("/downloads/nothing.csv").status_code == 404
    assert client.get("/downloads/..%2fcruise.sqlite").status_code == 404
    assert "longer than 200 letters" in client.get(f"/downloads/dwca.zip?title={'x' * 201}").text
    fill(tmp_path / "empty.sqlite", tiny)
    with TestClient(create_app(Place(tmp_path / "empty.sqlite")), base_url="http://127.0.0.1:8765") as other:
        answer = other.get("/downloads/images.parquet")
        assert answer.status_code == 400
        assert "there is nothing to export" in answer.text
        assert "ins of tows need a survey.toml" in other.get("/downloads/report.csv?bin=tow").text
    assert list((tmp_path / "made here").iterdir()) == []


def test_a_missing_library_is_said_on_the_page(aboard, monkeypatch):
    monkeypatch.setattr(offers, "find_spec", lambda name: None if name == "netCDF4" else object())
    client = TestClient(create_app(aboard), base_url="http://127.0.0.1:8765")
    page = Read(client.get("/downloads").text)
    assert "Not installed on this host: pip install 'planktow[export]'" in page.text
    assert "/downloads/counts.nc" not in page.html
    assert 'formaction="/downloads/images.parquet"' in page.html
    assert client.get("/downloads/counts.nc").status_code == 404


def test_without_the_folder_of_images_there_is_nothing_for_ecotaxa(aboard):
    client = TestClient(create_app(replace(aboard, watch=None)), base_url="http://127.0.0.1:8765")
    page = Read(client.get("/downloads").text)
    assert "/downloads/ecotaxa.zip" not in page.html
    assert "samples" not in page.html
    assert client.get("/downloads/ecotaxa.zip").status_code == 400


def test_a_file_that_would_fill_the_disk_is_not_begun(aboard, monkeypatch):
    monkeypatch.setattr(making, "SMALL_BYTES", 0)
    monkeypatch.setattr(making, "LEAVE_BYTES", 1 << 60)
    with pytest.raises(BadConfig, match="MiB free; choose a shorter stretch"):
        make(aboard, OFFERS["ecotaxa.zip"], Options())


def test_a_stretch_with_too_many_images_is_refused_with_a_way_out(aboard, monkeypatch):
    monkeypatch.setattr(making, "MOST", replace(making.MOST, images=20))
    with pytest.raises(BadConfig, match="choose a shorter stretch, or run the command on the host"):
        make(aboard, OFFERS["images.parquet"], Options())
    with make(aboard, OFFERS["images.parquet"], Options(Asked(to_ns=TEN + 3600 * 10**9))) as file:
        assert file.read(4) == b"PAR1"


def test_files_are_made_one_at_a_time_and_others_are_told_when_to_come(aboard, monkeypatch):
    go, under_way, most = threading.Event(), [], []

    def slow(*given):
        under_way.append(1)
        most.append(len(under_way))
        go.wait(30)
        under_way.pop()
        return make(*given)

    monkeypatch.setattr("edge.web.downloads.make", slow)
    answers = []
    with TestClient(create_app(aboard), base_url="http://127.0.0.1:8765") as client:

        def ask() -> None:
            answers.append(client.get("/downloads/report.txt"))
            if answers[-1].status_code == 503:
                go.set()

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for asker in askers:
            asker.start()
        for asker in askers:
            asker.join(60)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503]
    assert max(most) == 1
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert int(refused.headers["retry-after"]) >= 1
    assert "one at a time" in Read(refused.text).text


def test_a_file_on_its_way_keeps_its_place_until_it_is_gone():
    shelf = Shelf()
    for _ in range(OPEN_MOST):
        shelf.take()
    with pytest.raises(Busy):
        shelf.take()
    shelf.give_back()
    shelf.take()


def test_a_look_at_the_headers_makes_nothing(client, monkeypatch):
    monkeypatch.setattr("edge.web.downloads.make", None)
    answer = client.head("/downloads/report.csv")
    assert (answer.status_code, answer.content) == (200, b"")


def test_options_are_read_from_the_form_with_its_empty_fields():
    pairs = [
        ("from", ""),
        ("to", ""),
        ("bin", "auto"),
        ("samples", "1"),
        ("title", " "),
        ("creator", ""),
        ("license", ""),
    ]
    assert read_options(pairs) == Options(samples=True)
