"""The list of species and the page of each: counts, images, trend, and what the classifier mistakes it for."""

from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from bundle.errors import BadBundle
from bundle.vote import NO_LABEL
from edge.counts import read_bundles
from edge.estimates.validated import Validated
from edge.web.app import create_app
from edge.web.confused import Confused, confused
from edge.web.gallery import EACH, choose
from edge.web.place import Place

from ..filled import fill, other_bundle
from ..stocked import Stock
from .reading_page import Read
from .sailed import relabel, sailed


@pytest.fixture
def aboard(tmp_path, tiny) -> Place:
    return sailed(tmp_path, tiny)


def shown(place: Place, address: str, status: int = 200) -> Read:
    answer = TestClient(create_app(place), base_url="http://127.0.0.1:8765").get(address)
    assert answer.status_code == status, answer.text
    return Read(answer.text)


def test_every_label_that_was_found_stands_in_the_list_with_its_numbers(aboard):
    page = shown(aboard, "/species")
    assert [row[0] for row in page.rows[1:]] == ["Diatom chains", "Bubble", "Jellyfish"]
    assert [row[1] for row in page.rows[1:]] == ["13", "12", "3"]
    assert page.rows[1][-1] == "diatoms"
    assert page.links["Diatom chains"] == "/species/chain"
    assert page.html.count('class="spark"') == 3


def test_what_was_looked_for_and_not_found_is_named(tmp_path, tiny):
    fill(tmp_path / "ledger.sqlite", tiny, counted=[("10:00:00", 0)])
    page = shown(Place(tmp_path / "ledger.sqlite"), "/species")
    assert "Looked for and not found (2)" in page.text
    assert page.links["Sphere"] == "/species/sphere"
    assert "It was not found in this stretch" in shown(Place(tmp_path / "ledger.sqlite"), "/species/sphere").text


def test_a_species_has_its_names_numbers_and_images(aboard):
    page = shown(aboard, "/species/jelly")
    for words in ("Jellyfish", "AphiaID 135220", "ephyra<Scyphozoa", "Raw count 3", "Corrected count", "Per m³"):
        assert words in page.text
    assert "marinespecies.org" not in page.html, "nothing points away from the ship"
    assert len(page.images) == 3
    assert all(source.startswith("/thumb/") for source in page.images)
    assert page.links["Zoom, other bins, per m³"] == "/time?by=label&of=jelly"
    client = TestClient(create_app(aboard), base_url="http://127.0.0.1:8765")
    for source in page.images:
        assert client.get(source).headers["content-type"].startswith("image/")


def test_the_page_says_what_a_species_is_mistaken_for(aboard):
    page = shown(aboard, "/species/jelly")
    assert "In validation, 76 of 100 images of this class were recognised (76.0 %)" in page.text
    assert "76 of 86 images with this label were right" in page.text
    taken, truly = page.text.split("Its images are taken for")[1].split("Images with this label truly are")
    assert ("20 of 100" in taken, "left unclassified" in taken, "10 of 86" in truly) == (True, True, True)


def test_confusion_is_read_by_row_and_by_column():
    matrix = np.array([[8, 1, 0, 1], [2, 5, 3, 0], [0, 0, 0, 0]])
    validated = Validated(("a", "b", "c"), matrix)
    assert confused(validated, "a") == Confused(10, 8, 10, (("b", 1), ("unclassified", 1)), (("b", 2),))
    assert confused(validated, "b") == Confused(10, 5, 6, (("c", 3), ("a", 2)), (("a", 1),))
    assert confused(validated, "c") == Confused(0, 0, 3, (), (("b", 3),))
    assert confused(validated, "d") is None
    with pytest.raises(BadBundle, match="shape"):
        Validated(("a", "b"), matrix)


def test_a_class_with_few_validation_images_has_a_warning(tmp_path, tiny):
    page = shown(sailed(tmp_path, tiny, [[80, 10, 10, 0], [0, 100, 0, 0], [1, 0, 2, 0]]), "/species/jelly")
    assert "the validation has only 3: too few" in page.text


def test_without_validation_and_without_a_folder_the_page_says_so(place):
    page = shown(replace(place, watch=None), "/species/chain")
    assert "No validation of the classifier is at hand" in page.text
    assert "The folder of images is not known" in page.text
    assert page.images == []


def test_a_label_that_nobody_has_is_not_here(aboard):
    for address in ("/species/mermaid", "/species/../../etc/passwd", "/species/%2e%2e%2fledger.sqlite", "/species/"):
        answer = TestClient(create_app(aboard), base_url="http://127.0.0.1:8765").get(address)
        assert answer.status_code == 404, address


def test_a_label_of_any_letters_has_a_page_and_is_never_markup(tmp_path, tiny):
    odd = "a/b <script>alert(1)</script>?&#\u00e9"
    fill(tmp_path / "ledger.sqlite", other_bundle(tiny, (odd, "worm")), counted=[("10:00:00", 0), ("10:00:01", 1)])
    place = Place(tmp_path / "ledger.sqlite")
    page = shown(place, "/species")
    assert "<script>alert" not in page.html
    address = next(href for words, href in page.links.items() if words.startswith("A/b"))
    own = shown(place, address)
    assert odd[1:] in own.text
    assert "<script>alert" not in own.html
    over_time = shown(place, "/time?by=label&of=a%2Fb+%3Cscript%3E")
    assert "<script>alert" not in over_time.html


def test_what_people_said_stands_beside_what_the_machine_said(aboard):
    with aboard.reader() as connection:
        image = connection.execute("SELECT image_id FROM verdict WHERE label = 0 ORDER BY image_id").fetchone()[0]
    before = shown(aboard, "/species/chain").images
    assert f"/thumb/{image}" in before
    relabel(aboard, image, "jelly")
    chain, jelly = shown(aboard, "/species/chain"), shown(aboard, "/species/jelly")
    assert "Raw count 12" in chain.text
    assert f"/thumb/{image}" not in chain.images
    assert "Given or confirmed by people 1 of these" in jelly.text
    assert jelly.images[-1] == f"/thumb/{image}"


def test_unclassified_images_have_a_page(tmp_path, tiny):
    fill(tmp_path / "ledger.sqlite", tiny, counted=[("10:00:00", NO_LABEL), ("10:00:01", 0)])
    page = shown(Place(tmp_path / "ledger.sqlite"), "/species/unclassified")
    assert "Raw count 1" in page.text
    assert "members did not agree enough" in page.text


def test_the_gallery_chooses_latest_most_and_least_certain_of_what_is_still_there(tmp_path):
    stock = Stock(tmp_path)
    hour = 3600 * 10**9
    sure = [stock.counted(f"sure{n}.png", age=n * hour, votes=3, score=0.5 + n / 100) for n in range(15)]
    unsure = [stock.counted(f"unsure{n}.png", age=n * hour + 1, votes=2, score=0.2 + n / 100) for n in range(3)]
    stock.counted("aside.png", age=0, aside="blurred")
    stock.counted("other.png", age=0, label=1)
    gone = stock.counted("gone.png", age=0, votes=3, score=0.99)
    stock.connection.execute("UPDATE sighting SET gone_ns = 1 WHERE image_id = ?", (gone,))
    bundles = tuple(read_bundles(stock.connection))
    found = choose(stock.connection, bundles, "copepod")
    stock.close()
    assert [each.image for each in found.most] == sure[::-1][:EACH]
    assert [each.image for each in found.least] == unsure + sure[: EACH - 3]
    newest = sorted([*((n, 0, i) for n, i in enumerate(sure)), *((n, 1, i) for n, i in enumerate(unsure))])
    assert [each.image for each in found.latest] == [image for _, _, image in newest][:EACH]
    assert (found.considered, found.everything) == (18, True)


def test_a_common_label_is_chosen_from_its_newest_hours(tmp_path, monkeypatch):
    stock = Stock(tmp_path)
    hour = 3600 * 10**9
    for n in range(6):
        stock.counted(f"{n}.png", age=n * hour)
    monkeypatch.setattr("edge.web.gallery.LOOKED_AT_MOST", 4)
    found = choose(stock.connection, tuple(read_bundles(stock.connection)), "copepod")
    stock.close()
    assert (found.considered, found.everything) == (4, False)
