"""How old keys are and what ends when; and the API as a page to read."""

import base64
import re
from datetime import timedelta
from html.parser import HTMLParser
from typing import Any

import pytest

from infra.ledger import Ledger
from schemas.access import Role
from schemas.jobs import State
from schemas.mobile_keys import HeldKey, Origin
from schemas.secret import Secret
from schemas.twon import KeyType
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import DEVICE, RENEW, ask, claim, device, settle, wish
from tests.support.vault import ring_text, vault_of


@pytest.fixture
def site(ledger: Ledger, clock: Clock) -> AdminSite:
    return AdminSite(ledger, clock, vault_keys=ring_text("two", "one"))


def held(ledger: Ledger, clock: Clock, key: str, location: str, **more: Any) -> None:
    values = {"kind": KeyType.ECC, "public": key, "origin": Origin.READ, "created_at": clock(), **more}
    made = HeldKey(id=key, location=location, **values)
    ledger.mobile_keys.keep([(made, vault_of(ledger, "one").seal(made.secret_name, Secret("x")))])


def test_mobile_keys_are_told_by_location_the_oldest_primary_first(
    site: AdminSite, ledger: Ledger, clock: Clock
) -> None:
    held(ledger, clock, "a", "Lobby", primary_since=clock() - timedelta(days=10, hours=3))
    held(ledger, clock, "b", "Lobby", dropped_at=clock())
    held(ledger, clock, "c", "Lobby", origin=Origin.MADE)
    held(ledger, clock, "d", "Gate", primary_since=clock() - timedelta(days=400))
    told = site.get("/keys-and-certificates", role=Role.VIEWER).json()
    shown = [(one["location"], one["keys"], one["waiting"], one["age_days"]) for one in told["mobile_keys"]]
    assert shown == [("Gate", 1, 0, 400), ("Lobby", 2, 1, 10)]
    assert told["locations"] == 2


def test_ring_keys_are_told_with_what_they_seal(site: AdminSite, ledger: Ledger) -> None:
    vault_of(ledger, "one").put("a", Secret("x"))
    vault_of(ledger, "lost").put("b", Secret("x"))
    told = site.get("/keys-and-certificates").json()["vault"]
    assert [(one["id"], one["in_ring"], one["newest"], one["secrets"]) for one in told] == [
        ("two", True, True, 0),
        ("one", True, False, 1),
        ("lost", False, False, 1),
    ]


def test_renewals_are_told_the_nearest_end_first(site: AdminSite, ledger: Ledger, clock: Clock) -> None:
    for number, days in ((1, 30), (2, 3), (3, 9)):
        ends = (clock() + timedelta(days=days)).isoformat()
        ask(ledger, clock(), wish(device(number), RENEW), evidence={"expires": ends})
    ask(ledger, clock(), wish(DEVICE, RENEW))
    ask(ledger, clock(), wish(DEVICE))
    settle(ledger, clock(), claim(ledger, clock(), RENEW)[0], State.PARKED)
    told = site.get("/keys-and-certificates").json()
    assert [(one["target"], one["days_left"]) for one in told["renewals"]] == [
        (device(2), 3),
        (device(3), 9),
        (device(1), 30),
        (DEVICE, None),
    ]
    assert told["renewals_open"] == 4
    assert {one["state"] for one in told["renewals"]} == {"running", "parked"}


def test_webhook_tokens_are_told_with_their_ends_and_without_what_they_are(site: AdminSite, clock: Clock) -> None:
    ends = (clock() + timedelta(days=2)).isoformat()
    made = site.post("/webhook-tokens", {"name": "next", "ends_at": ends}).json()
    clock.forward(days=3)
    response = site.get("/keys-and-certificates")
    (token,) = response.json()["webhook_tokens"]
    assert (token["name"], token["living"]) == ("next", False)
    assert made["authorization"] not in response.text
    assert response.json()["webhook_tokens_of_settings"] == len(site.settings.webhook_tokens)


class Page(HTMLParser):
    """What a browser would load and run of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep it."""
        self.tags.append((tag, dict(attrs)))


def basic(key: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"anybody:{key}".encode()).decode()}


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_browser_gets_the_page_and_loads_nothing_else(site: AdminSite) -> None:
    asked = site.get("/docs", role=None)
    assert problem(asked, 401)
    challenges = asked.headers.get_list("www-authenticate")  # Chromium looks at the first of each header
    assert [challenge.partition(" ")[0] for challenge in challenges] == ["Bearer", "Basic"]
    response = site.get("/docs", role=None, headers=basic(site.key(Role.VIEWER)))
    assert (response.status_code, response.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert response.headers["content-security-policy"].startswith("default-src 'none'; style-src 'sha256-")
    tags = Page(response.text).tags
    assert {"script", "img", "link", "iframe", "form"}.isdisjoint(tag for tag, _ in tags)
    ids = {attributes["id"] for _, attributes in tags if "id" in attributes}
    links = {attributes["href"] or "" for tag, attributes in tags if tag == "a"}
    assert links
    assert {link.removeprefix("#") for link in links} <= ids  # none leads out of the page
    assert not re.search(r"\sstyle=|\son\w+=", response.text)
    for path, item in site.get("/openapi.json").json()["paths"].items():
        assert path in response.text
        assert all(operation["operationId"] in ids for operation in item.values())


@pytest.mark.parametrize("database", ["sqlite"])
def test_a_key_as_a_password_opens_nothing_but_the_page(site: AdminSite) -> None:
    key = site.key(Role.ADMIN)
    for path in ("/whoami", "/fleet/site/docs", "/docs/", "/fleet/site/admin/v1/docs"):
        problem(site.get(path, role=None, headers=basic(key)), 401)
    problem(site.call("POST", "/docs", role=None, headers=basic(key)), 401)
    for wrong in (basic("kt_no"), {"Authorization": "Basic %%%"}, {"Authorization": "Basic bm9uZQ=="}, basic("")):
        assert "Basic" in site.get("/docs", role=None, headers=wrong).headers["www-authenticate"]
