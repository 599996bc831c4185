"""Webhook tokens of the ledger: known within a second, side by side, ended in time, never read in a request."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from infra.ledger import Ledger
from infra.ledger.hook_tokens import Digest
from schemas.access import Role
from schemas.errors import InputError
from services.hook_tokens import TokenDesk
from services.web.hooks import TokenList
from services.web.token_watch import TokenWatch
from services.wiring import now
from tests.conftest import Clock
from tests.support.admin import AdminSite, problem
from tests.support.ledger import rows
from tests.support.site import TOKEN, Receiver, notification, serving
from tests.support.works import take_away


def admits(tokens: TokenList, header: str) -> bool:
    return tokens.admits([(b"authorization", header.encode())])


def make(ledger: Ledger, clock: Callable[[], datetime]) -> tuple[str, str]:
    desk = TokenDesk(ledger, clock=clock)
    with ledger.database.writing() as connection:
        token, header = desk.make(connection, name="u-blox", ends_at=None, actor="test")
    return token.id, header.get_secret_value()


@pytest.fixture
def tokens(clock: Clock) -> TokenList:
    return TokenList([TOKEN], clock=clock)


def test_a_new_token_holds_beside_the_old_ones_until_they_are_ended(
    ledger: Ledger, clock: Clock, tokens: TokenList
) -> None:
    watch = TokenWatch(ledger, tokens, clock=clock)
    first, old = make(ledger, clock)
    _, new = make(ledger, clock)
    assert not admits(tokens, new)
    watch.look()
    assert [admits(tokens, header) for header in (TOKEN, old, new, "Bearer x")] == [True, True, True, False]
    with ledger.database.writing() as connection:
        TokenDesk(ledger, clock=clock).end(connection, first, after=timedelta(hours=1), actor="test")
    watch.look()
    assert admits(tokens, old)
    clock.forward(hours=1)
    assert not admits(tokens, old), "its end needs no look"
    watch.look()
    assert [admits(tokens, header) for header in (TOKEN, old, new)] == [True, False, True]


def test_an_end_is_never_put_off(ledger: Ledger, clock: Clock) -> None:
    token, _ = make(ledger, clock)
    desk = TokenDesk(ledger, clock=clock)
    for hours in (1, 5):
        with ledger.database.writing() as connection:
            found = desk.end(connection, token, after=timedelta(hours=hours), actor="test")
        assert found is not None
        assert found.ends_at == clock() + timedelta(hours=1)
    actions = [one.entry.action for one in ledger.audit.page(before=None, limit=9)]
    assert actions == ["webhook-token.end", "webhook-token.new"]


def test_a_token_that_ends_before_it_begins_is_refused(ledger: Ledger, clock: Clock) -> None:
    with pytest.raises(InputError, match="is past"), ledger.database.writing() as connection:
        TokenDesk(ledger, clock=clock).make(connection, name="x", ends_at=clock(), actor="test")


def test_while_the_ledger_is_away_what_was_known_holds(ledger: Ledger, clock: Clock, tokens: TokenList) -> None:
    watch = TokenWatch(ledger, tokens, clock=clock)
    _, header = make(ledger, clock)
    watch.look()
    take_away(ledger, times=1)
    watch.look()
    assert admits(tokens, header)


def test_only_the_hash_is_stored(ledger: Ledger, clock: Clock) -> None:
    _, header = make(ledger, clock)
    assert header not in str(rows(ledger, "SELECT * FROM webhook_tokens"))
    assert header not in str(rows(ledger, "SELECT * FROM audit"))


def test_a_header_that_comes_twice_opens_nothing(clock: Clock) -> None:
    tokens = TokenList([TOKEN], clock=clock)
    tokens.know([Digest(b"\0" * 32)])
    assert not tokens.admits([(b"authorization", TOKEN.encode())] * 2)


def test_a_running_receiver_learns_of_a_token_by_itself(database_url: str) -> None:
    with serving(database_url) as receiver:
        _, header = make(receiver.ledger, now)
        assert answered(receiver, header, 202)


def answered(receiver: Receiver, header: str, status: int) -> bool:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        if receiver.post(notification(), headers={"Authorization": header}).status == status:
            return True
        time.sleep(0.1)
    return False


def test_over_the_api_a_token_is_made_shown_once_and_ended(ledger: Ledger, clock: Clock) -> None:
    site = AdminSite(ledger, clock)
    key = {"Idempotency-Key": "k"}
    made = site.post("/webhook-tokens", {"name": "u-blox"}, headers=key)
    assert made.status_code == 201
    header, token = made.json()["authorization"], made.json()["view"]["id"]
    assert header.startswith("Bearer ")
    problem(site.post("/webhook-tokens", {"name": "u-blox"}, headers=key), 409)
    listed = site.get("/webhook-tokens")
    assert header not in listed.text
    assert (listed.json()["of_settings"], listed.json()["items"][0]["living"]) == (2, True)
    ended = site.post(f"/webhook-tokens/{token}/end", {"seconds": 60}).json()
    assert ended["living"]
    clock.forward(seconds=60)
    assert not site.get("/webhook-tokens").json()["items"][0]["living"]
    problem(site.post("/webhook-tokens/000000000000/end"), 404)
    problem(site.get("/webhook-tokens", role=Role.OPERATOR), 403)


@pytest.mark.parametrize("ends_at", ["9999-12-31T23:59:00-12:00", "0001-01-01T00:00:00+14:00"])
def test_an_end_that_has_no_year_in_utc_is_refused(ends_at: str, ledger: Ledger, clock: Clock) -> None:
    """Once stored it could never be read again, nor any token beside it."""
    site = AdminSite(ledger, clock)
    (fault,) = problem(site.post("/webhook-tokens", {"name": "u-blox", "ends_at": ends_at}), 422)["faults"]
    assert fault["at"] == "body/ends_at"
    assert "expected a time whose year in UTC is 1 to 9999" in fault["detail"]
    latest = site.post("/webhook-tokens", {"name": "u-blox", "ends_at": "9999-12-31T23:59:00-00:00"}).json()["view"]
    assert site.get("/webhook-tokens").json()["items"] == [latest]
    assert site.get("/keys-and-certificates").json()["webhook_tokens"][0]["ends_at"] == latest["ends_at"]
