"""A worker has the outside systems of its queues: one that serves Taps alone needs nothing of u-blox."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.broker import QUEUES, queue_of
from infra.ledger import Ledger
from infra.settings import Settings, load_settings
from schemas.errors import ConfigurationError, InputError
from schemas.references import VaultReference
from services.operations.contract import NO_CENTAGATE, NO_TAPS, NO_TWON, NO_UBLOX
from services.wiring import make_performer, make_runner, make_taps, make_tools, open_ledger
from tests.support.inventory import house_environ, stock
from tests.support.taps import SECRETS, SERIAL, write_fleet
from workers.app import run_worker


@pytest.fixture
def house(tmp_path: Path) -> Iterator[tuple[Settings, Ledger]]:
    settings = load_settings(house_environ(tmp_path), None)
    ledger = open_ledger(settings)
    yield settings, ledger
    ledger.close()


def test_taps_have_a_queue_of_their_own() -> None:
    assert "tap" in QUEUES
    assert queue_of("keyturn.tap.reconfigure") == "tap"


def test_what_is_imported_is_there_at_once_with_its_secrets(house: tuple[Settings, Ledger], tmp_path: Path) -> None:
    taps = make_taps(*house)
    with pytest.raises(InputError, match=f"the inventory has no Tap {SERIAL}"):
        taps.order(SERIAL)
    stock(house[1], write_fleet(tmp_path))
    order = taps.order(SERIAL)
    assert order.password == VaultReference(vault=f"tap/{SERIAL}/password")
    assert taps.reveal(order.password).get_secret_value() == SECRETS["login"]
    assert taps.find("tcp://127.0.0.1:2000").serial == SERIAL


def test_without_a_key_ring_whoever_needs_the_vault_is_told_so(tmp_path: Path) -> None:
    environ = house_environ(tmp_path, write_fleet(tmp_path))
    ringless = load_settings({**environ, "KEYTURN_VAULT_KEYS": ""}, None)
    ledger = open_ledger(ringless)
    taps = make_taps(ringless, ledger)
    with pytest.raises(InputError, match="KEYTURN_VAULT_KEYS"):
        taps.reveal(taps.order(SERIAL).password)
    ledger.close()


def test_several_taps_behind_one_broker_are_named_by_their_serial_numbers(
    house: tuple[Settings, Ledger], tmp_path: Path
) -> None:
    second = """\
relay = { net_key = "one-net-key" }
[[sites.taps]]
serial = "IOTZ00000000000043"
address = "mqtt://broker"
password = "pass-word-43"
configuration = "tap.toml"
relay = { net_key = "two-net-key" }
"""
    stock(house[1], write_fleet(tmp_path, address="mqtt://broker", more=second))
    with pytest.raises(InputError, match="2 Taps at mqtt://broker:1883: name one by its serial number"):
        make_taps(*house).find("mqtt://broker:1883")


def test_a_runner_of_taps_needs_nothing_of_ublox(house: tuple[Settings, Ledger]) -> None:
    assert make_runner(*house, lambda *_: None) is not None


def test_a_worker_is_told_at_its_start_what_is_missing(house: tuple[Settings, Ledger]) -> None:
    with pytest.raises(ConfigurationError, match="KEYTURN_UBLOX_BASE_URL"):
        run_worker(house[0], ["ublox"])


def test_the_control_queue_needs_nothing_of_ublox_and_gets_nothing(house: tuple[Settings, Ledger]) -> None:
    whole = {"ublox_base_url": "https://ublox.invalid/v1", "ublox_api_key": None, "ublox_api_secret": None}
    half = house[0].model_copy(update=whole)
    for serves in ({"control"}, {"control", "tap"}):
        performer = make_performer(half, house[1], lambda *_: None, serves=serves)
        assert performer.perform("ledger.prune") == 0
        assert make_tools(half, house[1], serves=serves).ublox is NO_UBLOX
    with pytest.raises(ConfigurationError, match="KEYTURN_UBLOX_API_KEY"):
        make_performer(half, house[1], lambda *_: None, serves={"ublox"})


def test_a_worker_makes_the_tools_of_its_own_queues(house: tuple[Settings, Ledger]) -> None:
    tools = make_tools(*house, serves={"tap"})
    assert (tools.twon, tools.centagate) == (NO_TWON, NO_CENTAGATE)
    assert tools.taps is not NO_TAPS
    assert make_tools(*house, serves={"control"}).taps is NO_TAPS
