"""`py2n` 0.6.0, the client of 2N devices that home automation uses, reads from our twin whatever it can."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from py2n import Py2NConnectionData, Py2NDevice
from py2n.exceptions import ApiError, DeviceApiError, DeviceConnectionError, DeviceUnsupportedError

from services.sandbox.twon.factory import first_keys
from tests.support.twon import PASSWORD, USER, TwonPark, twon_park

SERIAL = "54-1046-0745"
NEW = first_keys(3, 1)[0]

BASIC = pytest.mark.filterwarnings("ignore:(BasicAuth|The 'auth' parameter) is deprecated:DeprecationWarning")
"""py2n calls what aiohttp is about to drop."""

Deed = Callable[[Py2NDevice], Awaitable[Any]]
Run = Callable[[Deed], Any]


@asynccontextmanager
async def connected(address: str, **more: Any) -> AsyncIterator[Py2NDevice]:
    url = urlsplit(address)
    account = {"username": USER, "password": PASSWORD, "auth_method": "digest", **more}
    async with aiohttp.ClientSession() as session:
        yield await Py2NDevice.create(session, Py2NConnectionData(host=url.netloc, protocol=url.scheme, **account))


@pytest.fixture(
    scope="module",
    params=[(https, algorithm) for https in (False, True) for algorithm in ("md5", "sha-256")],
    ids=["http-md5", "http-sha-256", "https-md5", "https-sha-256"],
)
def park(request: pytest.FixtureRequest) -> Iterator[TwonPark]:
    https, algorithm = request.param
    with twon_park(https=https, algorithm=algorithm, location="lyon") as park:
        yield park


@pytest.fixture
def run(park: TwonPark) -> Run:
    """Do something with a device that the client has got to know."""
    park.reset()

    def run(deed: Deed) -> Any:
        async def go() -> Any:
            async with connected(park.addresses[0]) as device:
                return await deed(device)

        return asyncio.run(go())

    return run


async def everything(device: Py2NDevice) -> Any:
    return device.data


def test_it_gets_to_know_the_device(run: Run) -> None:
    data = run(everything)
    assert (data.serial, data.model, data.name) == (SERIAL, "2N Access Unit 2.0", f"Access Unit {SERIAL}")
    assert (data.firmware, data.mac) == ("2.50.0.76.2-release", "7C-1E-B3-46-07-45")
    assert [(switch.id, switch.enabled, switch.active) for switch in data.switches] == [
        (1, True, False),
        (2, False, False),
    ]
    assert {(port.id, port.type) for port in data.ports} == {("relay1", "output"), ("input1", "input")}
    assert "MobKeyEntered" in data.log_caps
    assert data.uptime.tzinfo is not None


def test_it_opens_the_door_and_reads_the_state_back(run: Run) -> None:
    async def deed(device: Py2NDevice) -> tuple[bool, int]:
        await device.set_switch(1, True)
        await device.set_port("relay1", True)
        await device.update_switch_status()
        await device.update_port_status()
        return device.get_switch(1), next(port.state for port in device.data.ports if port.id == "relay1")

    assert run(deed) == (True, 1)


def test_it_sees_a_phone_enter(run: Run, park: TwonPark) -> None:
    async def deed(device: Py2NDevice) -> Any:
        channel = await device.log_subscribe(filter=["MobKeyEntered"], duration=60)
        await asyncio.to_thread(park.tour)
        events = await device.log_pull(channel, timeout=1)
        await device.log_unsubscribe(channel)
        with pytest.raises(DeviceApiError) as refusal:
            await device.log_pull(channel)
        return events, refusal.value.error

    (phone,) = park.pair("lyon")
    (event,), refusal = run(deed)
    assert (event["event"], event["params"]["authid"], event["params"]["valid"]) == ("MobKeyEntered", phone, True)
    assert refusal is ApiError.INVALID_PARAMETER_VALUE


def test_it_reads_and_writes_the_mobile_keys(run: Run, park: TwonPark) -> None:
    async def deed(device: Py2NDevice) -> Any:
        wish = {"keys": [{"type": "rsa", "key": NEW.private, "ctime": 1_700_000_000}]}
        await device.api_request("/api/mobilekey/config", method="PUT", json=wish)
        return await device.api_request("/api/mobilekey/config")

    config = run(deed)
    first, *empty = config["keys"]
    assert first == {"type": "rsa", "publicKey": NEW.public, "ctime": 1_700_000_000}
    assert (config["location"], empty) == ("lyon", [{}, {}, {}])
    assert park.keys(SERIAL) == [NEW.public, None, None, None]


def test_a_post_without_a_body_is_what_it_was_seen_to_be_on_2_50(run: Run) -> None:
    async def deed(device: Py2NDevice) -> None:
        await device.api_request("/api/system/info", method="POST")

    with pytest.raises(DeviceApiError) as refusal:
        run(deed)
    assert refusal.value.error is ApiError.PROCESSING_ERROR


def test_it_restarts_the_device(run: Run, park: TwonPark) -> None:
    async def deed(device: Py2NDevice) -> None:
        await device.restart()

    run(deed)
    assert park.stats()["reboots"] == 1


@pytest.mark.parametrize(
    ("do", "expected"), [("html", DeviceUnsupportedError), ("cut", DeviceConnectionError), ("refuse", DeviceApiError)]
)
def test_it_meets_a_faulty_device(run: Run, park: TwonPark, do: str, expected: type[Exception]) -> None:
    async def deed(device: Py2NDevice) -> None:
        await asyncio.to_thread(park.turn, strikes=[{"do": do, "times": 2}])  # aiohttp asks twice
        await device.update()

    with pytest.raises(expected):
        run(deed)


def test_a_nonce_that_went_stale_is_renewed(run: Run, park: TwonPark) -> None:
    async def deed(device: Py2NDevice) -> Any:
        await asyncio.to_thread(park.turn, nonce_uses=2)
        for _ in range(4):
            await device.update()
        return device.data.serial

    assert run(deed) == SERIAL


def test_a_wrong_password(park: TwonPark) -> None:
    park.reset()

    async def go() -> None:
        async with connected(park.addresses[0], password="guess"):
            pass

    with pytest.raises(DeviceApiError) as refusal:
        asyncio.run(go())
    assert refusal.value.error is ApiError.AUTHORIZATION_REQUIRED


@BASIC
def test_its_usual_basic_login_is_the_wrong_method(park: TwonPark) -> None:
    park.reset()

    async def go() -> None:
        async with connected(park.addresses[0], auth_method="basic"):
            pass

    with pytest.raises(DeviceApiError) as refusal:
        asyncio.run(go())
    assert refusal.value.error is ApiError.INVALID_AUTHENTICATION_METHOD


@BASIC
def test_basic_where_it_is_set() -> None:
    with twon_park(auth="basic") as park:

        async def go() -> Any:
            async with connected(park.addresses[0], auth_method="basic") as device:
                return device.data.serial

        assert asyncio.run(go()) == SERIAL
