"""The client against the twin, which was written apart from it: over TCP and over the relay, with its dials turned."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.errors import Refused, TryAgain
from services.clients.tap import Tap
from services.clients.tap.attempts import WrongCredentials
from services.clients.tap.client import TapClient
from services.clients.tap.mqtt import RelayAddress
from services.clients.tap.tcp import TcpAddress
from services.clients.tap.terms import Memory, Terms
from services.clients.tap.wire import Address, Bounds
from services.sandbox.server import running
from services.sandbox.tap.app import build
from services.sandbox.tap.dials import Dials
from services.sandbox.tap.factory import Factory
from services.sandbox.tap.fleet import Fleet

SERIAL = "IOTZ00000000000042"
ADMIN, WRONG = SecretStr("admin"), SecretStr("no-admin")
BOUNDS = Bounds(connect=3, answer=1, doubt=0.3, echo=0.2)


@contextmanager
def twin(*, broker: bool = False, factory: Factory | None = None, **dials: Any) -> Iterator[Fleet]:
    turned = Dials(**dials)
    fleet = Fleet(factory or Factory(iterations=50), broker_port=0 if broker else None, dials=turned)
    with running(build(fleet)):
        yield fleet


def by_tcp(fleet: Fleet) -> Address:
    return TcpAddress("127.0.0.1", fleet.taps[0].tcp.port)


def by_relay(fleet: Fleet) -> Address:
    assert fleet.broker is not None
    return RelayAddress(host=fleet.broker[0], port=fleet.broker[1], serial=SERIAL)


def client_at(address: Address, *, period: int = 1, clear: bool = False, memory: Memory | None = None) -> TapClient:
    terms = Terms(serial=SERIAL, period=period, clear=clear, bounds=BOUNDS)
    return TapClient(address, terms=terms, memory=memory)


@pytest.mark.parametrize("period", [0, 1, 3])
@pytest.mark.parametrize("relay", [False, True], ids=["tcp", "relay"])
def test_a_visit(*, relay: bool, period: int) -> None:
    with twin(broker=relay) as fleet, client_at((by_relay if relay else by_tcp)(fleet), period=period) as client:
        client.login("admin", ADMIN)
        for number in range(5):
            client.write("/1024//9", f"gate-{number}")
            assert client.read("/1024//9") == f"gate-{number}"
        Tap(client).wifi.put_ssid("plant-7")
        assert client.period == period


def test_a_relay_that_counts_its_own_answers() -> None:
    with twin(broker=True, relay_echoes=False) as fleet, client_at(by_relay(fleet)) as client:
        client.login("admin", ADMIN)
        assert client.read("/3//2") == SERIAL


def test_firmware_without_ivs() -> None:
    with twin(factory=Factory(firmware="1.80", iterations=50)) as fleet, client_at(by_tcp(fleet)) as client:
        client.login("admin", ADMIN)
        assert client.read("/3//3") == "1.80"
        assert client.period == 0


def test_no_scram() -> None:
    with twin(factory=Factory(scram=False)) as fleet:
        with client_at(by_tcp(fleet)) as client, pytest.raises(Refused, match="no SCRAM"):
            client.login("admin", ADMIN)
        with client_at(by_tcp(fleet), clear=True) as client:
            client.login("admin", ADMIN)
            assert client.read("/1024//7") == 65535


def test_a_wrong_password_does_not_lock_anybody_out() -> None:
    memory = Memory()
    with twin(lockout_after=2) as fleet:
        for _ in range(5):
            with client_at(by_tcp(fleet), memory=memory) as client, pytest.raises(WrongCredentials):
                client.login("admin", WRONG)
        with client_at(by_tcp(fleet), memory=memory) as client:
            client.login("admin", ADMIN)


def test_a_lock_out_has_its_wait() -> None:
    with twin(locked_out=True) as fleet, client_at(by_tcp(fleet)) as client:
        with pytest.raises(TryAgain, match="locked") as caught:
            client.login("admin", ADMIN)
        assert caught.value.retry_after == 60


@pytest.mark.parametrize(
    "dials", [{"split_rate": 1.0, "split_gap_ms": 20}, {"delay_ms": 30}, {"split_rate": 0.5, "delay_ms": 10}]
)
def test_slow_and_split_answers(dials: dict[str, Any]) -> None:
    with twin(**dials) as fleet, client_at(by_tcp(fleet)) as client:
        client.login("admin", ADMIN)
        client.write("/1024//9", "gate-3")
        assert client.read("/1024//9") == "gate-3"


@pytest.mark.parametrize("dial", ["drop_rate", "mute_rate", "wrong_crc_rate"])
@pytest.mark.parametrize("relay", [False, True], ids=["tcp", "relay"])
def test_an_answer_that_fails_ends_the_session(dial: str, *, relay: bool) -> None:
    with twin(broker=relay) as fleet, client_at((by_relay if relay else by_tcp)(fleet)) as client:
        client.login("admin", ADMIN)
        fleet.taps[0].device.dials = Dials.model_validate({dial: 1.0})
        with pytest.raises(TryAgain) as caught:
            client.write("/1024//9", "gate-3")
        assert caught.value.sent
        assert not client.in_session
