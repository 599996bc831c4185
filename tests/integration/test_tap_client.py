"""The client's manners: whom it lets itself be told by, what it seals, what it remembers, how it fails."""

import pickle
from collections.abc import Iterator

import pytest
from pydantic import SecretStr

from schemas.errors import OurFault, Refused, TryAgain
from services.clients.tap import DeviceRefusal, Form, LoginFault, Method, Path, Request, Response, Status, Tap, Verifier
from services.clients.tap.attempts import Attempts, Caution, WrongCredentials
from services.clients.tap.client import TapClient
from services.clients.tap.endings import is_whole
from services.clients.tap.nonces import SecureNonces
from services.clients.tap.scram import Challenge
from services.clients.tap.tcp import TcpAddress
from services.clients.tap.terms import Memory, Terms
from services.clients.tap.verifiers import Verifiers
from services.clients.tap.wire import Bounds
from tests.integration.tap_device import SERIAL, SERIAL_PATH, TapState, TcpDevice

ADMIN = SecretStr("admin")
WRONG = SecretStr("not-the-password")
NAME = Path.parse("/1024//9")
BOUNDS = Bounds(connect=2, answer=2, quiet=0.03, doubt=0.2)


class Stand:
    """A Tap and clients of it, closed at the end of a test."""

    def __init__(self) -> None:
        self.memory = Memory()
        self._devices: list[TcpDevice] = []
        self._clients: list[TapClient] = []

    def tap(self, state: TapState) -> TcpDevice:
        """Serve a Tap."""
        self._devices.append(TcpDevice(state))
        return self._devices[-1]

    def client(self, device: TcpDevice, terms: Terms | None = None) -> TapClient:
        """Connect to it."""
        client = TapClient(
            TcpAddress("127.0.0.1", device.port), terms=terms or Terms(bounds=BOUNDS), memory=self.memory
        )
        self._clients.append(client)
        client.connect()
        return client

    def close(self) -> None:
        """Close all of them."""
        for client in self._clients:
            client.close()
        for device in self._devices:
            device.close()


@pytest.fixture
def stand() -> Iterator[Stand]:
    stand = Stand()
    yield stand
    stand.close()


@pytest.mark.parametrize("period", [0, 1, 2, 3, 100])
def test_login_and_sealed_calls_in_every_period(stand: Stand, period: int) -> None:
    device = stand.tap(TapState())
    client = stand.client(device, Terms(serial=SERIAL, period=period, bounds=BOUNDS))
    client.login("admin", ADMIN)
    assert client.in_session
    for number in range(7):
        client.write("/1024//9", f"gate-{number}")
        assert client.read("/1024//9") == f"gate-{number}"
    assert client.period == period
    assert set(device.tap.forms(NAME)) == {Form.SEALED_WITH_IV if period == 1 else Form.SEALED}


@pytest.mark.parametrize("period", [1, 2, 100])
def test_firmware_without_ivs_falls_back(stand: Stand, period: int) -> None:
    device = stand.tap(TapState(ivs=False))
    client = stand.client(device, Terms(period=period, bounds=BOUNDS))
    client.login("admin", ADMIN)
    client.write("/1024//9", "gate-3")
    assert client.period == 0
    assert device.tap.forms(NAME) == [Form.SEALED]


def test_old_firmware_that_answers_an_iv_with_something_short_falls_back(stand: Stand) -> None:
    device = stand.tap(TapState(answers={Path.parse("/1024//45"): Response(Status.CONTENT, b"1234")}))
    client = stand.client(device, Terms(period=5, bounds=BOUNDS))
    client.login("admin", ADMIN)
    assert client.read("/3//2") == SERIAL
    assert client.period == 0


def test_typed_calls_work_over_the_client(stand: Stand) -> None:
    device = stand.tap(TapState())
    client = stand.client(device)
    client.login("admin", ADMIN)
    Tap(client).wifi.put_ssid("plant-7")
    assert Tap(client).wifi.get_ssid() == "plant-7"
    client.call("group.put_session_lifetime", 65535, 30)
    assert client.call("group.get_session_lifetime", 65535) == 30
    with pytest.raises(DeviceRefusal):
        Tap(client).lora.get_ids()
    with pytest.raises(OurFault, match="no call"):
        client.call("wifi.put_nothing")


def test_another_serial_number_is_told_before_anything_else(stand: Stand) -> None:
    device = stand.tap(TapState(serial="IOTZ00000000000077"))
    with pytest.raises(OurFault, match="is Tap IOTZ00000000000077, not IOTZ00000000000042") as caught:
        stand.client(device, Terms(serial=SERIAL, bounds=BOUNDS))
    assert not caught.value.sent
    assert [request.path for _, request in device.tap.asked] == [SERIAL_PATH]


def test_a_wrong_password_is_sent_once(stand: Stand) -> None:
    device = stand.tap(TapState())
    for _ in range(4):
        with pytest.raises(WrongCredentials) as caught:
            stand.client(device).login("admin", WRONG)
        assert "not-the-password" not in str(caught.value)
    assert device.tap.failures == 1
    stand.client(device).login("admin", ADMIN)


def test_the_connection_stands_after_a_wrong_password(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState()))
    with pytest.raises(WrongCredentials, match="wrong user or password"):
        client.login("nobody", ADMIN)
    assert not client.in_session
    client.login("admin", ADMIN)
    assert client.in_session


def test_several_wrong_passwords_are_enough(stand: Stand) -> None:
    device = stand.tap(TapState())
    for number in range(5):
        with pytest.raises(WrongCredentials):
            stand.client(device).login("admin", SecretStr(f"guess-{number}"))
    assert device.tap.failures == 3


def test_a_locked_tap_is_left_alone(stand: Stand) -> None:
    device = stand.tap(TapState(tries=0))
    with pytest.raises(TryAgain, match="locked after too many failures") as caught:
        stand.client(device).login("admin", ADMIN)
    assert caught.value.retry_after == 60
    asked = len(device.tap.asked)
    with pytest.raises(TryAgain, match="has locked") as again:
        stand.client(device).login("admin", ADMIN)
    assert again.value.retry_after is not None
    assert not again.value.sent
    assert len(device.tap.asked) == asked + 1  # the serial number


def test_the_pause_of_a_lock_doubles_and_old_refusals_are_forgotten() -> None:
    now = [0.0]
    attempts = Attempts(Caution(remember=100, locked=10, longest=35), clock=lambda: now[0])
    pauses = [attempts.refused("tap", "admin", ADMIN, LoginFault.TOO_MANY_ATTEMPTS) for _ in range(4)]
    assert pauses == [10, 20, 35, 35]
    with pytest.raises(TryAgain):
        attempts.check("tap", "admin", ADMIN)
    now[0] = 40
    attempts.check("tap", "admin", ADMIN)
    assert attempts.refused("tap", "admin", ADMIN, LoginFault.WRONG_CREDENTIALS) is None
    with pytest.raises(WrongCredentials):
        attempts.check("tap", "admin", ADMIN)
    attempts.check("tap", "supervisor", ADMIN)
    now[0] = 141
    attempts.check("tap", "admin", ADMIN)
    now[0] = 10_000
    assert attempts.refused("tap", "other", ADMIN, LoginFault.OTHER) is None
    assert set(attempts._records) == {("tap", "other")}  # noqa: SLF001 - nothing else would show a leak
    attempts.forget("tap", "other")


def test_a_tap_without_scram_is_refused_before_the_password_leaves(stand: Stand) -> None:
    device = stand.tap(TapState(lock_bits=b"\x00\x00"))
    with pytest.raises(Refused, match="no SCRAM"):
        stand.client(device).login("admin", ADMIN)
    assert not device.tap.forms(Path.parse("/1024//0"))


def test_a_tap_without_scram_is_spoken_to_in_clear_where_the_terms_allow(stand: Stand) -> None:
    device = stand.tap(TapState(lock_bits=b"\x00\x00"))
    client = stand.client(device, Terms(clear=True, bounds=BOUNDS))
    client.login("admin", ADMIN)
    client.write("/1024//9", "gate-3")
    assert client.read("/1024//9") == "gate-3"
    assert not client.in_session
    client.close()
    assert device.tap.asked[-1][1] == Request(Method.POST, Path.parse("/1024//1"))
    with pytest.raises(WrongCredentials):
        stand.client(device, Terms(clear=True, bounds=BOUNDS)).login("admin", WRONG)


def test_terms_that_allow_clear_text_still_use_scram_where_it_is(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState()), Terms(clear=True, bounds=BOUNDS))
    client.login("admin", ADMIN)
    assert client.in_session


@pytest.mark.parametrize(
    "request_",
    [
        Request(Method.PUT, NAME, b"gate-3"),
        Request(Method.POST, Path.parse("/3//4")),
        Request(Method.GET, Path.parse("/1024//16")),
        Request(Method.GET, Path.parse("/1024//47")),
        Request(Method.GET, Path.parse("/1024//89")),
    ],
)
def test_nothing_is_written_and_no_secret_read_in_clear(stand: Stand, request_: Request) -> None:
    device = stand.tap(TapState())
    with pytest.raises(OurFault, match="would travel in clear") as caught:
        stand.client(device).exchange(request_)
    assert not caught.value.sent
    assert not device.tap.forms(request_.path)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (Status.UNAUTHORIZED, OurFault),
        (Status.BAD_REQUEST, OurFault),
        (Status.NOT_FOUND, Refused),
        (Status.RESOURCE_LOCKED, Refused),
        (Status.BUSY, TryAgain),
        (Status.DEVICE_UNAVAILABLE, TryAgain),
        (0xEE, Refused),
    ],
)
def test_a_result_code_says_what_to_do_next(stand: Stand, status: int, kind: type[Exception]) -> None:
    client = stand.client(stand.tap(TapState(answers={NAME: Response(status)})))
    client.login("admin", ADMIN)
    with pytest.raises(kind):
        client.read("/1024//9")
    assert client.in_session


def test_a_body_that_is_too_large_is_our_fault_and_not_sent(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState()))
    client.login("admin", ADMIN)
    with pytest.raises(OurFault) as caught:
        client.exchange(Request(Method.PUT, NAME, bytes(250)))
    assert not caught.value.sent
    with pytest.raises(OurFault):
        client.write("/1024//9", 7)
    assert client.in_session


def test_a_tap_that_cannot_prove_itself_is_a_matter_for_a_person(stand: Stand) -> None:
    forged = Response(Status.CONTENT, bytes(16))
    client = stand.client(stand.tap(TapState(answers={Path.parse("/1024//41"): forged})))
    with pytest.raises(Refused, match="could not prove"):
        client.login("admin", ADMIN)


@pytest.mark.parametrize(
    ("path", "body"), [("/1024//40", bytes(12)), ("/1024//40", b"short"), ("/1024//6", b"I"), ("/3//2", b"\xff\x00")]
)
def test_answers_that_mean_nothing_are_tried_again(stand: Stand, path: str, body: bytes) -> None:
    device = stand.tap(TapState(answers={Path.parse(path): Response(Status.CONTENT, body)}))
    with pytest.raises(TryAgain):
        stand.client(device).login("admin", ADMIN)


def test_a_tap_that_forgot_the_session_is_left(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState(answers={NAME: Response(Status.CONTENT, b"x")})))
    client.login("admin", ADMIN)
    client._open().line._channel.take_key(bytes(16))  # noqa: SLF001 - as if the Tap had another key
    with pytest.raises(TryAgain, match="refused the sealed frame"):
        client.read("/1024//9")
    assert not client.in_session


def test_leaving_logs_out_inside_the_channel(stand: Stand) -> None:
    device = stand.tap(TapState())
    client = stand.client(device)
    client.login("admin", ADMIN)
    client.close()
    assert device.tap.forms(Path.parse("/1024//1")) == [Form.SEALED_WITH_IV]
    client.close()


def test_after_logout_the_connection_goes_on_in_clear(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState()))
    client.login("admin", ADMIN)
    client.logout()
    assert not client.in_session
    assert client.read("/3//2") == SERIAL
    client.login("admin", ADMIN)
    assert client.in_session


def test_a_refused_logout_is_told(stand: Stand) -> None:
    client = stand.client(stand.tap(TapState(answers={Path.parse("/1024//1"): Response(Status.UNAUTHORIZED)})))
    client.login("admin", ADMIN)
    with pytest.raises(OurFault):
        client.logout()


def test_a_new_password_travels_as_a_verifier(stand: Stand) -> None:
    device = stand.tap(TapState())
    client = stand.client(device)
    with pytest.raises(OurFault, match="log in first"):
        client.change_password(65535, SecretStr("secret-7"))
    client.login("admin", ADMIN)
    client.change_password(65535, SecretStr("secret-7"))
    verifier = Verifier.decode(device.tap.values[Path.parse("/1025/65535/2")])
    assert verifier == Verifier.make("secret-7", salt=verifier.salt, iterations=device.tap.iterations)


def test_a_client_that_was_never_connected() -> None:
    client = TapClient(TcpAddress("tap.example"))
    assert "not connected" in repr(client)
    assert client.period == 1
    with pytest.raises(TryAgain, match="not connected"):
        client.read("/3//2")


def test_fresh_numbers_are_never_all_zero() -> None:
    rolls = iter([bytes(4), b"\x00\x00\x00\x01", bytes(4), b"\x00abc", b"abcd", bytes(16), b"\x01" * 16])
    nonces = SecureNonces(lambda _: next(rolls))
    assert nonces.nonce() == 1
    assert nonces.salt() == b"abcd"
    assert nonces.iv() == b"\x01" * 16
    real = SecureNonces()
    assert len({real.iv() for _ in range(100)}) == 100


def test_verifiers_are_computed_once_and_kept_sealed() -> None:
    verifiers = Verifiers(capacity=2)
    challenges = [Challenge(1, bytes([7, 7, 7, number]), 10) for number in range(3)]
    wanted = [Verifier.make("admin", salt=challenge.salt, iterations=10) for challenge in challenges]
    assert [verifiers.derive(ADMIN, challenge) for challenge in challenges * 2] == wanted * 2
    assert len(verifiers) == 2
    sealed = b"".join(verifiers._sealed.values())  # noqa: SLF001 - what lies in memory is the point
    assert not any(verifier.stored in sealed for verifier in wanted)
    with pytest.raises(TypeError):
        pickle.dumps(verifiers)


@pytest.mark.parametrize(
    ("method", "path", "answer", "whole"),
    [
        (Method.PUT, "/1024//9", "449000", True),
        (Method.PUT, "/1024//9", "4490", False),
        (Method.GET, "/1024//9", "819000", True),
        (Method.GET, "/1024//9", "4590009000", False),
        (Method.GET, "/1024//6", "4500189000", True),
        (Method.GET, "/1024//6", "45009000", False),
        (Method.GET, "/1024//41", "45" + "00" * 16 + "9000", True),
        (Method.GET, "/9//9", "459000", False),
        (Method.POST, "/9//9", "449000", True),
    ],
)
def test_where_an_answer_in_clear_ends_beyond_doubt(method: Method, path: str, answer: str, whole: bool) -> None:  # noqa: FBT001
    assert is_whole(Request(method, Path.parse(path)), bytes.fromhex(answer)) is whole
