"""Sessions: logins of both ends against each other, keys, IV periods, logout."""

import pytest

from services.clients.tap import (
    DeviceRefusal,
    Form,
    LocalProtocolError,
    LoginFault,
    LoginRefused,
    Method,
    Path,
    Refusal,
    RemoteProtocolError,
    Request,
    Response,
    Status,
    Turn,
    login,
    refresh,
    run,
)
from services.clients.tap.state import LOGOUT_PATH, PROOF_PATH, SET_IV_PATH
from tests.unit.tap.lines import KEY, SERIAL, Desk, Line, Numbered, hear_bytewise, refuse, scripted, session_line

LOGOUT = Request(Method.POST, LOGOUT_PATH)
PUT_NAME = Request(Method.PUT, Path.parse("/1024//9"), b"TAP-1")


def line_of(*, period: int = 0, **users: str) -> Line:
    nonces = Numbered()
    return Line(Desk(users=users or {"admin": "admin"}, nonces=nonces), period=period, device_nonces=nonces)


def resources(line: Line) -> list[int]:
    """Give the resource that each frame asks for, as an onlooker sees it."""
    return [int.from_bytes(frame[10:12], "big") for frame in line.asked]


@pytest.mark.parametrize("period", [0, 1, 2, 3, 100])
def test_login_and_sealed_exchanges_in_every_period(period: int) -> None:
    line = line_of(period=period)
    line.log_in("admin", "admin")
    assert line.client.in_session
    assert line.device.in_session
    for count in range(8):
        assert line.exchange(SERIAL).body == b"IOTZ00000000000042"
        assert line.exchange(Request(Method.PUT, PUT_NAME.path, bytes([count]))).status == Status.CHANGED
    assert line.exchange(LOGOUT).ok
    assert not line.client.in_session
    assert not line.device.in_session
    assert line.exchange(SERIAL).ok


@pytest.mark.parametrize(
    ("period", "wanted"),
    [
        (0, [48] * 8),
        (1, [44] * 8),
        (2, [48, 48, 48, 48, 48, 48, 48, 48, 48, 48, 48]),
        (3, [48, 48, 48, 48, 48, 48, 48, 48, 48, 48]),
    ],
)
def test_a_period_of_n_costs_an_exchange_before_the_calls_n_plus_1(period: int, wanted: list[int]) -> None:
    line = session_line(period=period)
    for _ in range(8):
        line.exchange(SERIAL)
    assert resources(line) == wanted


def test_ivs_that_are_due_must_be_changed_first() -> None:
    line = session_line(period=2)
    for _ in range(2):
        line.exchange(SERIAL)
    assert line.client.refresh_due
    with pytest.raises(LocalProtocolError):
        line.client.send(SERIAL)
    line.exchange(line.client.refresh_request())
    assert not line.client.refresh_due
    line.exchange(SERIAL)


def test_a_client_gives_ivs_up_by_setting_the_period_to_0() -> None:
    line = session_line(scripted(["459000", "459000", "a19000", "459000"]), period=2)
    line.exchange(SERIAL)
    line.exchange(SERIAL)
    with pytest.raises(DeviceRefusal) as caught:
        run(refresh(line.client.refresh_request()), line.exchange_without_refresh)
    assert caught.value.status == Status.NOT_IMPLEMENTED
    assert line.client.refresh_due
    line.client.refresh_period = 0
    assert line.exchange(SERIAL).ok


def test_old_firmware_answers_the_iv_with_something_short() -> None:
    line = session_line(scripted(["45010203049000", "459000"]))
    with pytest.raises(RemoteProtocolError, match="IV"):
        run(refresh(line.client.refresh_request()), line.exchange)
    assert line.exchange(SERIAL).ok


def test_the_ivs_of_a_frame_stay_for_the_session() -> None:
    """Going from period 1 to 0 keeps the last IVs."""
    line = session_line(period=1)
    line.exchange(SERIAL)
    line.client.refresh_period = 0
    line.exchange(SERIAL)
    assert resources(line) == [44, 48]


def test_a_second_login_keeps_the_ivs_and_travels_under_the_old_key() -> None:
    line = line_of(period=2, admin="admin", tech="tech-pw")
    line.log_in("admin", "admin")
    for _ in range(5):
        line.exchange(SERIAL)
    line.log_in("tech", "tech-pw")
    line.exchange(SERIAL)
    assert set(resources(line)[2:]) == {48}


def test_a_login_inside_an_initialized_session() -> None:
    line = line_of()
    line.initialize()
    line.exchange(line.client.refresh_request())
    line.log_in("admin", "admin")
    assert line.exchange(SERIAL).body == b"IOTZ00000000000042"
    assert resources(line) == [47, 48, 48, 48, 48]


@pytest.mark.parametrize(("user", "password"), [("admin", "wrong"), ("nobody", "admin")])
def test_a_wrong_login_is_refused_alike(user: str, password: str) -> None:
    line = line_of()
    with pytest.raises(LoginRefused) as caught:
        line.log_in(user, password)
    assert caught.value.fault is LoginFault.WRONG_CREDENTIALS
    assert resources(line) == [40, 41]
    with pytest.raises(LocalProtocolError):
        line.client.start_session(KEY)
    with pytest.raises(LocalProtocolError):
        line.device.start_session(KEY)


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (0x81, LoginFault.WRONG_CREDENTIALS),
        (0x86, LoginFault.WRONG_CREDENTIALS),
        (0xA3, LoginFault.TOO_MANY_ATTEMPTS),
        (0xA0, LoginFault.OTHER),
        (0x46, LoginFault.OTHER),
        (0xEE, LoginFault.OTHER),
    ],
)
def test_the_code_says_why_a_login_was_refused(status: int, fault: LoginFault) -> None:
    line = Line(scripted([f"{status:02x}9000"]))
    with pytest.raises(LoginRefused) as caught:
        run(login("admin", "admin", nonce=1), line.exchange)
    assert caught.value.fault is fault


def test_a_device_that_cannot_prove_itself_gets_no_session() -> None:
    line = Line(scripted(["45a1b2c3d40a0b0c0d000000649000", "45" + "00" * 16 + "9000"]))
    with pytest.raises(RemoteProtocolError, match="not proved"):
        run(login("admin", "admin", nonce=0x01020304), line.exchange)


@pytest.mark.parametrize("iterations", [0, 65_536, 0xFFFF_FFFF])
def test_a_device_cannot_keep_us_busy_with_iterations(iterations: int) -> None:
    line = Line(scripted([f"45a1b2c3d40a0b0c0d{iterations:08x}9000"]))
    with pytest.raises(RemoteProtocolError, match="iterations"):
        run(login("admin", "admin", nonce=1), line.exchange)


def test_a_proof_without_a_challenge_starts_nothing() -> None:
    line = Line(scripted(["45" + "00" * 16 + "9000"]))
    line.exchange(Request(Method.GET, PROOF_PATH, bytes(16)))
    with pytest.raises(LocalProtocolError):
        line.client.start_session(KEY)


def test_a_session_starts_only_between_exchanges_and_under_a_whole_key() -> None:
    line = line_of()
    run(login("admin", "admin", nonce=1), line.exchange)
    with pytest.raises(LocalProtocolError):
        line.client.start_session(KEY[:8])
    line.client.send(SERIAL)
    with pytest.raises(LocalProtocolError):
        line.client.start_session(KEY)


def test_a_repeated_frame_is_refused() -> None:
    line = session_line()
    line.exchange(SERIAL)
    assert refuse(line.device, line.asked[0]) == bytes.fromhex("809000")
    assert line.exchange(SERIAL).ok


def test_a_frame_after_lost_ones_is_taken() -> None:
    line = session_line()
    for _ in range(3):
        line.client.send(SERIAL)
        line.client.receive_data(bytes.fromhex("a39000"))
        assert line.client.next_event() == Refusal(Status.SERVICE_UNAVAILABLE)
    assert line.exchange(SERIAL).ok


def test_frame_numbers_start_again_after_65535() -> None:
    line = session_line()
    for end in (line.client, line.device):
        end._channel.next_id = 65_535  # noqa: SLF001 - 65 535 exchanges would take a while
    line.exchange(SERIAL)
    line.exchange(SERIAL)
    assert refuse(line.device, line.asked[0]) == bytes.fromhex("809000")


def test_an_answer_to_another_frame_breaks_the_line() -> None:
    line = session_line()
    line.exchange(SERIAL)
    line.client.send(SERIAL)
    line.client.receive_data(line.answered[0])
    with pytest.raises(RemoteProtocolError, match="number"):
        line.client.next_event()
    assert line.client.turn is Turn.BROKEN


def test_the_check_of_numbers_can_be_switched_off() -> None:
    line = session_line()
    line.client.check_frame_ids = line.device.check_frame_ids = False
    line.exchange(SERIAL)
    line.client.send(SERIAL)
    line.client.receive_data(line.answered[0])
    assert line.client.next_event() == line.responses[0]
    line.device.receive_data(line.asked[0])
    assert line.device.next_event() == SERIAL


@pytest.mark.parametrize("period", [0, 1])
@pytest.mark.parametrize("place", range(1, 36, 5))
def test_a_damaged_answer_breaks_the_line_once_its_end_is_told(period: int, place: int) -> None:
    line = session_line(period=period)
    line.device.receive_data(line.client.send(SERIAL))
    line.device.next_event()
    answer = bytearray(line.device.send(Response(Status.CONTENT, b"IOTZ00000000000042")))
    answer[min(place, len(answer) - 3)] ^= 1
    line.client.receive_data(bytes(answer))
    line.client.end_of_message()
    with pytest.raises(RemoteProtocolError):
        line.client.next_event()
    assert line.client.turn is Turn.BROKEN


@pytest.mark.parametrize("period", [0, 1])
def test_a_damaged_request_is_refused(period: int) -> None:
    line = session_line(period=period)
    asked = bytearray(line.client.send(PUT_NAME))
    asked[-1] ^= 1
    refusal = refuse(line.device, bytes(asked))
    assert hear_bytewise(line.client, refusal) == Refusal(Status.BAD_REQUEST)


@pytest.mark.parametrize(
    "frame", ["a2ca000008010400ffff003000", "a2ca000008010400ffff002c00", "a2ca000007010400ffff0030"]
)
def test_a_sealed_frame_of_an_odd_size_is_refused(frame: str) -> None:
    line = session_line()
    assert refuse(line.device, bytes.fromhex(frame)) == bytes.fromhex("809000")


def test_a_seal_within_a_seal_is_refused() -> None:
    line = session_line()
    inner = bytes.fromhex("010400ffff0030") + bytes(16)
    sealed = line.client._channel.seal(inner, frame_id=0, iv=bytes(16))  # noqa: SLF001 - our own side refuses to do this
    line.client.pause()
    asked = line.client.send(Request(Method.GET, Path.parse("/1024//48"), sealed))
    assert refuse(line.device, asked) == bytes.fromhex("809000")


def test_a_logout_is_answered_inside_the_session() -> None:
    line = session_line(period=1)
    line.exchange(LOGOUT)
    assert resources(line) == [44]
    assert line.client.form is Form.CLEAR


def test_a_logout_that_is_refused_leaves_the_session() -> None:
    line = session_line(scripted(["819000"]))
    line.exchange(LOGOUT)
    assert line.client.in_session
    assert line.device.in_session


def test_one_end_may_forget_its_session() -> None:
    line = session_line()
    line.client.end_session()
    line.exchange(SERIAL)
    assert resources(line) == [2]
    assert line.device.in_session


def test_ivs_change_in_clear_too() -> None:
    line = session_line()
    line.client.pause()
    line.exchange(line.client.refresh_request())
    line.client.resume()
    assert line.exchange(SERIAL).ok
    assert [SET_IV_PATH.resource, 48] == resources(line)


def test_the_largest_bodies_fit_and_one_more_does_not() -> None:
    for period, size in ((0, 225), (1, 209)):
        line = session_line(period=period)
        assert line.client.max_body == size
        assert line.exchange(Request(Method.PUT, PUT_NAME.path, bytes(size))).ok
        with pytest.raises(LocalProtocolError):
            line.client.send(Request(Method.PUT, PUT_NAME.path, bytes(size + 1)))
        assert line.exchange(SERIAL).ok


def test_secrets_do_not_print() -> None:
    request = Request(Method.PUT, Path.parse("/1024//16"), b"correct horse")
    assert "correct" not in repr(request) + str(request) + repr(Response(0x45, b"correct horse"))
