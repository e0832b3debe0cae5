"""What the page refuses: other hosts' names, other sites' requests, wrong tokens, too much, and markup in names."""

import json
import stat
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from sqlite3 import connect

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from bundle.errors import BadConfig
from edge.web.app import create_app
from edge.web.form import MOST_BYTES, read_form
from edge.web.guard import HEADERS, POLICY, Rules
from edge.web.hosts import host_passes, origin_passes, own_names
from edge.web.limits import Limits, Rate
from edge.web.place import Place
from edge.web.security import session_holds, session_value, writers_only
from edge.web.token import read_or_make_token

from .aboard import ADDRESS, NOW_NS, TOKEN

SECOND = 10**9


@pytest.fixture
def writing(place: Place) -> Iterator[TestClient]:
    """The page with one more address that only who may write can post to."""

    @writers_only
    async def post(request: Request) -> Response:
        return PlainTextResponse(json.dumps(await read_form(request)))

    app = create_app(place)
    app.router.routes.append(Route("/write", post, methods=["POST"]))
    with TestClient(app, base_url=ADDRESS, follow_redirects=False) as browser:
        yield browser


def sign_in(browser: TestClient, token: str = TOKEN, **headers: str) -> Response:
    return browser.post("/login", data={"token": token}, headers={"Origin": ADDRESS, **headers})


# --- every answer


@pytest.mark.parametrize(
    "address", ["/", "/health", "/healthz", "/login", "/nowhere", "/static/style.css", "/thumb/1", "/thumb/0"]
)
def test_every_answer_bears_the_headers(client: TestClient, address: str) -> None:
    headers = client.get(address).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS


def test_a_fault_of_ours_bears_them_too(place: Place) -> None:
    async def broken(_request: Request) -> Response:
        raise RuntimeError("as the test has it")

    app = create_app(place)
    app.router.routes.append(Route("/broken", broken))
    with TestClient(app, base_url=ADDRESS, raise_server_exceptions=False) as browser:
        answer = browser.get("/broken")
    assert answer.status_code == 500
    assert answer.headers["content-security-policy"] == POLICY
    assert "as the test has it" not in answer.text


def test_the_policy_lets_nothing_in_from_elsewhere() -> None:
    parts = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert parts["default-src"] == "'none'"
    assert set(parts.values()) <= {"'none'", "'self'", "'self' data:"}


# --- names of hosts (DNS rebinding)


@pytest.mark.parametrize(
    ("host", "passes"),
    [
        ("127.0.0.1:8765", True),
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("192.168.3.7:8765", True),
        ("[::1]:8765", True),
        ("[fe80::1]", True),
        ("bridge.ship", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1@evil.example", False),
        ("127.1", False),
        ("2130706433", False),
        ("[::1", False),
        ("", False),
        ("localhost\n", False),
    ],
)
def test_only_our_own_names_and_addresses_pass(host: str, passes: bool) -> None:
    assert host_passes(host, own_names(["bridge.ship"])) is passes


@pytest.mark.parametrize("address", ["/", "/thumb/1", "/static/style.css", "/events", "/healthz"])
def test_a_request_under_another_name_is_refused(client: TestClient, address: str) -> None:
    answer = client.get(address, headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "chain" not in answer.text


# --- requests of other sites


@pytest.mark.parametrize(
    ("origin", "site", "cookies", "passes"),
    [
        ("http://127.0.0.1:8765", None, True, True),
        ("http://127.0.0.1:8765", "same-origin", True, True),
        (None, "same-origin", True, True),
        (None, None, False, True),  # curl with a token
        (None, None, True, False),
        ("http://evil.example", None, True, False),
        ("http://evil.example", "same-origin", False, False),
        ("http://127.0.0.1:8766", None, True, False),  # another program on this host
        ("http://127.0.0.1:8765", "cross-site", True, False),
        ("http://127.0.0.1:8765", "same-site", True, False),
        ("null", None, True, False),
        ("null", None, False, False),
    ],
)
def test_a_post_must_come_from_a_page_of_ours(origin, site, cookies, passes) -> None:
    assert origin_passes(origin, site, "127.0.0.1:8765", cookies) is passes


def test_another_sites_form_changes_nothing_though_the_browser_is_signed_in(writing: TestClient) -> None:
    sign_in(writing)
    assert writing.post("/write", data={"a": "1"}, headers={"Origin": ADDRESS}).status_code == 200
    assert writing.post("/write", data={"a": "1"}, headers={"Origin": "http://evil.example"}).status_code == 403
    assert writing.post("/write", data={"a": "1"}).status_code == 403


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT"])
def test_other_methods_are_refused(client: TestClient, method: str) -> None:
    assert client.request(method, "/").status_code == 405


# --- the token


def test_without_the_token_nobody_writes(writing: TestClient) -> None:
    assert writing.post("/write", data={"a": "1"}).status_code == 403


def test_the_token_in_a_header_writes(writing: TestClient) -> None:
    right, wrong = ({"Authorization": f"Bearer {token}"} for token in (TOKEN, TOKEN + "!"))
    assert writing.post("/write", data={"a": "1"}, headers=right).json() == {"a": "1"}
    assert writing.post("/write", data={"a": "1"}, headers=wrong).status_code == 403
    assert writing.post("/write?token=" + TOKEN, data={"token": TOKEN}).status_code == 403, "nowhere else"


def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_do_not_get(writing: TestClient) -> None:
    answer = sign_in(writing)
    assert answer.status_code == 303
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "samesite=strict" in cookie.lower()
    assert TOKEN not in cookie
    assert writing.post("/write", data={"a": "1"}, headers={"Origin": ADDRESS}).status_code == 200


def test_a_wrong_token_is_told_and_gives_nothing(writing: TestClient) -> None:
    answer = sign_in(writing, "wrong")
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "not the token" in answer.text


def test_signing_out_takes_the_right_away(writing: TestClient) -> None:
    sign_in(writing)
    writing.post("/logout", headers={"Origin": ADDRESS})
    assert writing.post("/write", data={"a": "1"}, headers={"Origin": ADDRESS}).status_code == 403


def test_a_cookie_holds_for_its_token_and_its_time_only() -> None:
    cookie = session_value(TOKEN, NOW_NS)
    assert session_holds(cookie, TOKEN, NOW_NS - 1)
    assert not session_holds(cookie, TOKEN, NOW_NS)
    assert not session_holds(cookie, "another", NOW_NS - 1)
    assert not session_holds(cookie.replace(str(NOW_NS), str(NOW_NS + 10**15)), TOKEN, NOW_NS - 1)
    for nonsense in ("", ".", "1", "1.", "²." + "0" * 64, "-1.x", "9" * 30 + ".x", "1.é"):
        assert not session_holds(nonsense, TOKEN, NOW_NS)


def test_a_page_without_a_token_lets_nobody_write(place: Place) -> None:
    with TestClient(create_app(replace(place, token=None)), base_url=ADDRESS) as browser:
        assert sign_in(browser, "").status_code == 403
        assert "Read only" in browser.get("/health").text


def test_nobody_is_sent_elsewhere_by_our_redirects(client: TestClient) -> None:
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", "/%0d%0aX: y", "javascript:x", "/a\nb"):
        answer = client.get("/theme", params={"to": "red", "back": back}, follow_redirects=False)
        assert answer.headers["location"] in ("/", "/%0d%0aX:%20y"), back


def test_a_token_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "page.token"
    first = read_or_make_token(file)
    assert (first.made, stat.S_IMODE(file.stat().st_mode)) == (True, 0o600)
    assert len(first.text) >= 24
    again = read_or_make_token(file)
    assert (again.text, again.made) == (first.text, False)
    file.chmod(0o640)
    with pytest.raises(BadConfig, match="chmod 600"):
        read_or_make_token(file)


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe" * 20, b"two words in it"])
def test_a_file_that_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "page.token"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(BadConfig, match=r"page\.token"):
        read_or_make_token(file)


# --- too much


def test_a_body_that_is_too_large_is_refused_whatever_it_says_of_itself(writing: TestClient) -> None:
    signed = {"Authorization": f"Bearer {TOKEN}"}
    large = b"a=" + b"x" * MOST_BYTES
    form = {**signed, "Content-Type": "application/x-www-form-urlencoded"}
    assert writing.post("/write", content=large, headers=form).status_code == 413
    assert writing.post("/write", content=iter([large]), headers=form).status_code == 413, "in chunks"
    assert (
        writing.post("/write", content=b"{}", headers={**signed, "Content-Type": "application/json"}).status_code == 415
    )
    many = b"&".join(b"a=1" for _ in range(2000))
    assert writing.post("/write", content=many, headers=form).status_code == 400


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    clock = Clock()
    limits = Limits({"page": Rate(3, 0.5)}, clock)
    for _ in range(3):
        assert limits.wait_seconds("page", "10.0.0.1") == 0
        limits.take("page", "10.0.0.1")
    assert limits.wait_seconds("page", "10.0.0.1") == 2.0
    assert limits.wait_seconds("page", "10.0.0.2") == 0, "another address has a bucket of its own"
    clock.now = 2.0
    assert limits.wait_seconds("page", "10.0.0.1") == 0


def test_addresses_of_one_ipv6_network_share_a_bucket() -> None:
    limits = Limits({"page": Rate(1, 1)}, Clock())
    limits.take("page", "2001:db8::1")
    assert limits.wait_seconds("page", "2001:db8::2") > 0
    assert limits.wait_seconds("page", "2001:db8:0:1::1") == 0


def test_what_is_remembered_of_addresses_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edge.web.limits.ADDRESSES_MOST", 10)
    limits = Limits({"page": Rate(1, 1)}, Clock())
    for number in range(100):
        limits.take("page", f"10.0.0.{number}")
    assert sum(limits.wait_seconds("page", f"10.0.0.{number}") > 0 for number in range(100)) == 10


def limited(place: Place, clock: Clock) -> TestClient:
    limits = Limits(seconds=clock)
    return TestClient(create_app(place, Rules(limits=limits)), base_url=ADDRESS, follow_redirects=False)


def test_who_guesses_tokens_is_held_up_and_then_may_go_on(place: Place) -> None:
    clock = Clock()
    with limited(place, clock) as browser:
        assert [sign_in(browser, "wrong").status_code for _ in range(6)] == [403] * 5 + [429]
        answer = sign_in(browser, TOKEN)
        assert answer.status_code == 429, "the right one is not told apart"
        assert int(answer.headers["retry-after"]) == 20
        clock.now = 20.0
        assert sign_in(browser, TOKEN).status_code == 303


def test_guessing_by_header_counts_too(place: Place) -> None:
    with limited(place, Clock()) as browser:
        headers = {"Authorization": "Bearer wrong", "Origin": ADDRESS}
        browser.app.router.routes.append(Route("/write", writers_only(_nothing), methods=["POST"]))
        assert [browser.post("/write", headers=headers).status_code for _ in range(6)] == [403] * 5 + [429]


async def _nothing(_request: Request) -> Response:
    return Response()


def test_who_asks_for_pages_without_end_is_held_up(place: Place) -> None:
    with limited(place, Clock()) as browser:
        answers = [browser.get("/nowhere").status_code for _ in range(61)]
    assert answers == [404] * 60 + [429]


# --- markup in what the camera and the bundle call things

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_markup_in_labels_paths_and_problems_is_only_text(place: Place) -> None:
    with closing(connect(place.ledger)) as writer, writer:
        writer.execute("UPDATE bundle SET labels = ?, name = ?", (json.dumps([EVIL] * 3), EVIL))
        writer.execute("UPDATE sighting SET path = ? WHERE image_id = 1", (EVIL,))
        writer.execute("UPDATE image SET reason = ? WHERE reason IS NOT NULL", (EVIL,))
        writer.execute("UPDATE refusal SET reason = ?", (EVIL,))
    place.out.mkdir()
    status = {
        "state": "running", "problem": EVIL, "now": "2026-11-25T10:00:00Z", "started": "2026-11-25T09:00:00Z",
        "last_image": None, "images_per_second": 1.0, "bundle_name": EVIL, "bundle_digest": EVIL,
    }  # fmt: skip
    (place.out / "status.json").write_text(json.dumps(status))
    with TestClient(create_app(place), base_url=ADDRESS) as browser:
        for address in ("/", "/health"):
            text = browser.get(address).text
            assert "alert(1)" in text, "it is shown"
            assert "<script>alert" not in text
            assert "<img src=x" not in text


def test_no_folder_of_this_host_is_told(client: TestClient, place: Place) -> None:
    addresses = ("/", "/health", "/healthz")
    told = [client.get(address).text for address in addresses]
    place.ledger.rename(place.ledger.with_suffix(".away"))
    with TestClient(create_app(place), base_url=ADDRESS) as browser:
        lost = [browser.get(address).text for address in addresses]
    assert all("cannot be read" in text for text in lost)
    assert not any(str(place.ledger.parent) in text for text in told + lost)
