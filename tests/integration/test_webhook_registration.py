"""The six webhooks are brought to what the settings say, again and again with the same end."""

from collections.abc import Iterator
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from infra.ledger import Ledger
from schemas.errors import ConfigurationError, TryAgain
from schemas.events import EventType
from services import wiring
from services.cli.main import app
from services.clients.transport import Transport
from services.schedules.registration import Registration, Step, admits, changes, known_tokens, plan, shown, sync
from tests.conftest import Clock
from tests.integration.upstreams import Reply, scripted
from tests.support.rounds import House, housed
from tests.support.site import SECOND_TOKEN, serving

if TYPE_CHECKING:
    from services.clients.ublox import Ublox

BASE = "https://keys.example"
OLD, NEW = SecretStr("Bearer the-old-token-0123456789"), SecretStr("Bearer the-new-token-0123456789")


@pytest.fixture
def house(ledger: Ledger, clock: Clock) -> Iterator[House]:
    with housed(ledger, clock) as house:
        yield house


def planned(house: House, *tokens: SecretStr, base: str = BASE) -> tuple[Registration, list[Step]]:
    wanted = Registration.of(base, tokens or (OLD,))
    return wanted, plan(wanted, house.means.ublox.webhooks.walk(), known_tokens(house.ledger))


def synced(house: House, *tokens: SecretStr, base: str = BASE) -> list[str]:
    """Bring everything to what is wanted; give what was done."""
    wanted, steps = planned(house, *tokens, base=base)
    todo = changes(steps)
    sync(wanted, todo, ublox=house.means.ublox, ledger=house.ledger, now=house.clock())
    return [step.action for step in todo]


def registered(house: House) -> dict[str, dict[str, str]]:
    """Address and token of each type, as the twin has them."""
    return {kind: dict(urls) for kind, urls in house.twin.hooks.by_type.items()}


def as_wanted(token: SecretStr, base: str = BASE) -> dict[str, dict[str, str]]:
    return {kind.value: {f"{base}/webhooks/ublox/{kind.value}": token.get_secret_value()} for kind in EventType}


def test_every_type_gets_an_address_of_its_own_and_a_second_run_changes_nothing(house: House) -> None:
    assert synced(house) == ["create"] * 6
    assert registered(house) == as_wanted(OLD)
    assert synced(house) == []
    assert {step.action for step in planned(house)[1]} == {"keep"}


def test_a_new_token_replaces_the_old_one_while_both_are_admitted(house: House) -> None:
    """The settings name the new one first; the receiver takes either until the old line goes."""
    synced(house, OLD)
    assert synced(house, NEW, OLD) == ["new token"] * 6
    assert registered(house) == as_wanted(NEW)
    assert synced(house, NEW) == []


def test_an_old_address_of_ours_goes_last_and_a_foreign_one_stays(house: House) -> None:
    for kind in EventType:
        house.twin.hooks.register(kind, f"{BASE}/webhooks/ublox", "Bearer of-old")
    house.twin.hooks.register(EventType.ERRORS, "https://others.example/hook", "Bearer of-others")
    assert synced(house) == ["create"] * 6 + ["remove"]
    foreign = {EventType.ERRORS.value: {"https://others.example/hook": "Bearer of-others"}}
    assert registered(house) == {kind: urls | foreign.get(kind, {}) for kind, urls in as_wanted(OLD).items()}


def test_another_public_address_moves_every_webhook(house: House) -> None:
    synced(house)
    assert synced(house, base="https://moved.example") == ["create"] * 6 + ["remove"] * 6
    assert registered(house) == as_wanted(OLD, "https://moved.example")
    assert synced(house, base="https://moved.example") == []


def test_what_this_ledger_did_not_register_gets_the_token_once(house: House) -> None:
    for kind in EventType:
        house.twin.hooks.register(kind, f"{BASE}/webhooks/ublox/{kind.value}", "Bearer of-somebody")
    assert synced(house) == ["new token"] * 6
    assert registered(house) == as_wanted(OLD)
    assert synced(house) == []


def test_a_run_that_was_cut_short_goes_on(house: House) -> None:
    wanted, steps = planned(house)
    create, calls = house.means.ublox.webhooks.create, iter(range(6))

    class Flaky:
        def create(self, url: str, *, token: SecretStr, event_type: EventType) -> None:
            if next(calls) == 3:
                raise TryAgain("u-blox is away", call="/notification/webhook/create")
            create(url, token=token, event_type=event_type)

    with pytest.raises(TryAgain):
        sync(
            wanted,
            steps,
            ublox=cast("Ublox", SimpleNamespace(webhooks=Flaky())),
            ledger=house.ledger,
            now=house.clock(),
        )
    assert synced(house) == ["create"] * 3
    assert registered(house) == as_wanted(OLD)


def test_no_token_is_shown_or_kept(house: House) -> None:
    synced(house)
    wanted, steps = planned(house, NEW)
    for text in (repr(wanted), str(shown(steps)), str(house.ledger.firings.marks(""))):
        assert "the-old-token" not in text
        assert "the-new-token" not in text


def test_without_a_public_address_it_is_said_what_is_missing() -> None:
    with pytest.raises(ConfigurationError, match="KEYTURN_PUBLIC_URL is needed"):
        Registration.of(None, (OLD,))


def test_the_receiver_is_asked_whether_it_takes_the_token(database_url: str) -> None:
    """Its receipts are for whoever may deliver; no receipt has the name that is asked for."""
    with serving(database_url) as receiver, closing(Transport(receiver.address.url)) as transport:
        for token, admitted in ((SECOND_TOKEN, True), (NEW.get_secret_value(), False)):
            assert admits(Registration.of(BASE, (SecretStr(token),)), transport) is admitted


def test_a_receiver_that_is_away_cannot_be_asked() -> None:
    with closing(Transport("http://127.0.0.1:9")) as transport:
        assert admits(Registration.of(BASE, (NEW,)), transport) is None


def test_a_proxy_that_answers_in_its_place_with_a_status_of_its_own_says_nothing() -> None:
    with scripted(lambda _: Reply(status=460)) as proxy, closing(Transport(proxy.url)) as transport:
        assert admits(Registration.of(BASE, (NEW,)), transport) is None


def test_a_sync_that_stopped_half_way_says_in_the_audit_what_was_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = house.ledger.database.engine.url.render_as_string(hide_password=False)
    monkeypatch.setenv("DATABASE_URL", url.replace("postgresql+psycopg://", "postgresql://", 1))
    monkeypatch.setenv("KEYTURN_WEBHOOK_TOKENS", OLD.get_secret_value())
    monkeypatch.setenv("KEYTURN_PUBLIC_URL", BASE)
    ublox, calls = house.means.ublox, iter(range(99))

    def create(url: str, **how: Any) -> None:
        if next(calls) == 2:
            raise TryAgain("u-blox is away", call="/hook/create")
        ublox.webhooks.create(url, **how)

    stand_in = SimpleNamespace(webhooks=SimpleNamespace(walk=ublox.webhooks.walk, create=create), close=lambda: None)
    monkeypatch.setattr(wiring, "make_ublox", lambda _: stand_in)
    stopped = CliRunner().invoke(app, ["webhooks", "sync", "--no-probe", "--reason", "first time"])
    assert isinstance(stopped.exception, TryAgain)
    again = CliRunner().invoke(app, ["webhooks", "sync", "--no-probe"])
    assert again.exit_code == 0, again.output
    CliRunner().invoke(app, ["webhooks", "sync", "--no-probe"])
    whole, half = [one.entry for one in house.ledger.audit.page(before=None, limit=9)]
    assert (half.action, half.reason, half.detail["failed"]) == ("webhooks.sync", "first time", "u-blox is away")
    assert (len(half.detail["steps"]), len(half.detail["not_done"])) == (2, 4)
    assert (len(whole.detail["steps"]), whole.detail["not_done"]) == (4, [])
    assert OLD.get_secret_value() not in str([half, whole])
