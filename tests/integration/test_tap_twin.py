"""The Tap's twin over TCP, byte by byte as the notes and the recorded vectors have it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.clients.tap import Method, Request, Response, Verifier
from services.clients.tap import Path as Place
from services.clients.tap.multi import Part, decode_answers, multi_request
from services.sandbox.tap.factory import ADMIN, MASTERS, Factory, User
from services.sandbox.tap.fleet import Fleet
from tests.fixtures.tap_host import PATIENCE, QUICK, SERIAL, Host, Stand, standing

VECTORS = json.loads((Path(__file__).parents[1] / "fixtures" / "tap-vectors.json").read_text(encoding="utf-8"))
READ_SERIAL = "A2CA00000701 0003 FFFF 0002"
SERIAL_REPLY = f"45{SERIAL.encode().hex()}9000"
AS_DELIVERED = Factory(configured=False, users=MASTERS, iterations=20)
KEY = bytes.fromhex("00112233445566778899AABBCCDDEEFF")


class Told:
    """The device's numbers of the worked examples (notes §2)."""

    def __init__(self, *ivs: bytes) -> None:
        self._ivs = iter(ivs)

    def nonce(self) -> int:
        """Give the device nonce."""
        return 0xA1B2C3D4

    def salt(self) -> bytes:
        """Give the salt."""
        return bytes.fromhex("0A0B0C0D")

    def iv(self) -> bytes:
        """Give the next IV, or key."""
        return next(self._ivs)


def worked_example() -> Factory:
    admin = User(ADMIN, "admin", "admin", salt=bytes.fromhex("0A0B0C0D"))
    return Factory(iterations=100, users=(admin, *MASTERS[1:]))


@pytest.fixture(scope="module")
def stand() -> Iterator[Stand]:
    with standing() as stand:
        yield stand


@pytest.fixture
def host(stand: Stand) -> Iterator[Host]:
    with stand.host() as host:
        yield host


@pytest.fixture
def admin(host: Host) -> Host:
    return host.log_in("admin")


def test_serial_number_in_clear(host: Host) -> None:
    assert host.raw(READ_SERIAL) == SERIAL_REPLY


def test_login_of_the_notes_byte_by_byte() -> None:
    with standing(worked_example(), nonces=Told()) as stand, stand.host() as host:
        challenge = host.raw("A2CA00001B 01 0400 FFFF 0028 61646D696E0000000000000000000000 01020304")
        assert challenge == "45a1b2c3d40a0b0c0d000000649000"
        proof = host.raw("A2CA000017 01 0400 FFFF 0029 116378C82D9361FF0B0EDE40E2F5B225")
        assert proof == "4512d65c7585135d76254188842513994f9000"


def test_first_sealed_request_of_the_notes() -> None:
    with standing(nonces=Told(KEY)) as stand, stand.host() as host:
        assert host.raw("A2CA000007 01 0400 FFFF 002F") == f"45{KEY.hex()}9000"
        sealed = host.raw("A2CA000017 01 0400 FFFF 0030 6014C33EC9539668BA522D2CE32FD0A2")
        assert sealed == "45ebf154e7d909584c7fc0d469c4a0bec8b9abccfff4f9ece3a5f7a489ddf463e69000"


@pytest.mark.parametrize("period", ["period 0", "period 1"])
def test_recorded_sealed_frames_one_after_the_other(period: str) -> None:
    vectors = [vector for vector in VECTORS["vectors"] if vector["name"].startswith(f"{period}, frame")]
    ivs = [bytes.fromhex(vector["inputs"].get("deviceIV", "")) for vector in vectors]
    with standing(AS_DELIVERED, nonces=Told(KEY, *ivs)) as stand, stand.host() as host:
        host.raw("A2CA000007 01 0400 FFFF 002F")
        answers = [host.raw(vector["outputs"]["wireRequest"]) for vector in vectors]
    assert answers == [vector["inputs"]["wireReply"] for vector in vectors]
    assert len(answers) >= 2


def test_every_recorded_frame_is_understood() -> None:
    """As delivered a Tap is open, so the vendor's frames must not meet a refusal other than for what is not there."""
    frames = {v["name"]: v["outputs"]["request"] for v in VECTORS["vectors"] if v["group"] == "plain" and v["inputs"]}
    reset = frames.pop("POST /3//5 factory reset")
    with standing(AS_DELIVERED) as stand, stand.host() as host:
        assert host.raw(reset) == "449000"
        for created in ("0401 0001", "0404 0005", "0405 0007"):
            host.raw(f"A2DA000007 02 {created} FFFF")
        codes = {name: host.raw(frame)[:2] for name, frame in frames.items()}
    odd = {name: code for name, code in codes.items() if code not in {"41", "44", "45"}}
    assert odd == {
        "POST /1024//0 login hashed": "87",  # SCRAM is on
        "POST /1025/1/2 change password, clear text": "86",  # SCRAM wants a verifier
    }


def test_request_in_pieces_and_two_in_one_piece(host: Host) -> None:
    frame = bytes.fromhex(READ_SERIAL)
    for byte in frame:
        host.socket.sendall(bytes([byte]))
    assert host.heard().hex() == SERIAL_REPLY
    host.socket.sendall(frame * 2)
    answers = host.heard()
    while len(answers) < len(SERIAL_REPLY):
        answers += host.heard()
    assert answers.hex() == SERIAL_REPLY * 2


def test_what_is_no_request_ends_the_line(host: Host) -> None:
    assert host.raw("47455420 2F") == ""


def test_contradiction_inside_a_frame_is_refused_and_the_line_stays(host: Host) -> None:
    assert host.raw("A2DA00000701 0003 FFFF 0002") == "809000"
    assert host.raw(READ_SERIAL) == SERIAL_REPLY


def test_sealed_frame_without_session_and_with_a_wrong_key(host: Host) -> None:
    sealed = "A2CA000017 01 0400 FFFF 0030 6014C33EC9539668BA522D2CE32FD0A2"
    assert host.raw(sealed) == "859000"
    host.log_in()
    assert host.raw(sealed) == "809000"


def test_pairing_command(host: Host) -> None:
    assert host.raw("00A4040007F0024C774D324D9000") == "9000"


@pytest.mark.parametrize("period", [0, 1])
def test_session_over_the_socket(stand: Stand, period: int) -> None:
    with stand.host(period=period) as host:
        host.log_in("tech")
        assert host.get("/1024//7") == Response(0x45, b"\x00\x01")
        assert host.get("/3//2").body == SERIAL.encode()
        assert host.post("/1024//1") == 0x44
        assert host.get("/1024//7") == Response(0x45, b"\x00\x00")


@pytest.mark.parametrize(
    ("path", "written", "read"),
    [
        ("/1024//9", b"TAP-7", b"TAP-7"),
        ("/1024//34", b"\x3c", b"\x00\x3c"),
        ("/1024//42", b"\x00\x40", b"\x00\x00\x00\x40"),
        ("/1024//17", b"\x02\x21", b"\x02\x21"),
        ("/1024//51", b"8883", b"8883"),
        ("/1024//97", b"\xfb", b"\xfb"),
        ("/1024//16", b"correct horse", b"correct horse"),
        ("/1025/1/4", b"\x01\x2c", b"\x01\x2c"),
        ("/1025/1/5", b"\xff\xfe", b"\xff\xfe"),
    ],
)
def test_settings_are_read_back_as_the_notes_say(stand: Stand, path: str, written: bytes, read: bytes) -> None:
    with stand.host() as host:
        host.log_in("admin")
        assert host.put(path, written) == 0x44
        assert host.get(path) == Response(0x45, read)
    stand.http.post("/_twin/reset").raise_for_status()


def test_write_only_stays_write_only(admin: Host) -> None:
    assert admin.put("/1024//38", b"-----BEGIN") == 0x44
    assert admin.get("/1024//38") == Response(0x85)
    assert admin.get("/1025/1/2") == Response(0x85)


@pytest.mark.parametrize(
    ("path", "body"),
    [("/1024//9", b""), ("/1024//9", b"x" * 33), ("/1024//15", b"\x05"), ("/1024//42", b"\0\0"), ("/1024//30", b"\1")],
)
def test_body_that_does_not_fit_is_not_accepted(admin: Host, path: str, body: bytes) -> None:
    assert admin.put(path, body) == 0x86


def test_unknown_paths_and_instances(admin: Host) -> None:
    assert admin.get("/1024//9999") == Response(0x84)
    assert admin.get("/1025/77/0") == Response(0x84)
    assert admin.post("/1025/77/65535") == 0x41
    assert admin.get("/1025/77/0") == Response(0x45)
    assert admin.put("/3//2", b"IOTZ1") == 0x85


def test_old_firmware_says_what_it_does_not_have() -> None:
    with standing(Factory(firmware="1.80", iterations=20)) as stand, stand.host(period=1) as host:
        assert host.get("/1024//88") == Response(0xA1)
        host.log_in("admin")
        host.socket.sendall(host.line.send(Request(Method.GET, Place.parse("/3//2"))))
        assert host.heard().hex() == "a19000"


def test_rights(stand: Stand) -> None:
    verifier = Verifier.make("changed", salt=b"abcd", iterations=20).encode()
    with stand.host() as host:
        assert host.put("/1024//9", b"mine") == 0x81
        assert host.get("/1024//16") == Response(0x81)
        host.log_in("tech")
        assert (host.put("/1024//9", b"mine"), host.post("/3//4"), host.post("/3//5")) == (0x81, 0x81, 0x81)
        host.log_in("supervisor")
        assert (host.put("/1024//9", b"ours"), host.put("/1024//25", b"net")) == (0x44, 0x81)
        assert (host.post("/1025/1/2", verifier), host.post("/1025/65535/2", verifier)) == (0x44, 0x81)
    with stand.host() as host:
        host.log_in("tech", "changed")
    assert stand.state()["groups"]["1"]["verifier"] == verifier.hex()
    stand.http.post("/_twin/reset").raise_for_status()


def test_alias_has_the_rights_of_another_group(stand: Stand) -> None:
    with stand.host() as host:
        host.log_in("admin")
        host.put("/1025/1/5", b"\xff\xff")
    with stand.host() as host:
        host.log_in("tech")
        assert (host.get("/1024//2").body, host.get("/1024//7").body) == (b"\x00\x01", b"\xff\xff")
        assert host.put("/1024//25", b"net") == 0x44
    stand.http.post("/_twin/reset").raise_for_status()


def test_multi_request_stops_where_the_status_is_not_the_expected_one(admin: Host) -> None:
    asked = [
        Part(Request(Method.GET, Place.parse("/3//2"))),
        Part(Request(Method.GET, Place.parse("/1024//9999"))),
        Part(Request(Method.GET, Place.parse("/3//3"))),
    ]
    answer = admin.exchange(multi_request(asked))
    assert [part.status for part in decode_answers(answer.body)] == [0x45, 0x84]


def test_long_value_begins_anew_when_something_else_was_written(stand: Stand, admin: Host) -> None:
    for body in (b"A" * 200, b"B" * 50):
        admin.put("/1024//57", body)
    assert bytes.fromhex(stand.state()["settings"]["/1024//57"]) == b"A" * 200 + b"B" * 50
    admin.put("/1024//9", b"TAP")
    admin.put("/1024//57", b"C")
    assert stand.state()["settings"]["/1024//57"] == b"C".hex()


def test_secret_bodies_are_not_in_the_counts(stand: Stand, admin: Host) -> None:
    admin.put("/1024//54", b"hunter2")
    write = stand.stats()["writes"][-1]
    assert write["request"] == "PUT /1024//54"
    assert (write["body"], write["sealed"], write["group"], write["took_effect"]) == (None, True, ADMIN, True)


def test_many_taps_count_their_ports_and_serials_up() -> None:
    with standing(QUICK, count=30) as stand:
        serials = set()
        for tap in stand.fleet.taps:
            with Host(tap.tcp.port) as host:
                serials.add(host.get("/3//2").body.decode())
        assert serials == {f"IOTZ{number:014d}" for number in range(42, 72)}
        assert stand.http.get("/_twin/stats").status_code == 400
        assert stand.http.get("/_twin/stats", params={"serial": "IOTZ00000000000050"}).json()["lines"] == {"WIFI": 1}
        assert stand.http.get("/_twin/state", params={"serial": "nobody"}).status_code == 400


def test_a_port_that_is_taken_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match="in use"):
        Fleet(QUICK, port=taken.getsockname()[1])


def test_command_line_prints_one_ready_line_and_stops_on_a_signal() -> None:
    command = [sys.executable, "-m", "services.cli.main", "sandbox", "tap", "--port", "0", "--broker", "0"]
    with subprocess.Popen([*command, "--serial", "IOTZ7", "--firmware", "1.90"], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        line = process.stdout.readline().decode()
        words = line.split()
        assert line.startswith("Tap twin ready: TCP 127.0.0.1:")
        with Host(int(words[4].rpartition(":")[2])) as host:
            assert (host.get("/3//2").body, host.get("/3//3").body) == (b"IOTZ7", b"1.90")
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE * 3)
    assert (process.returncode, rest) == (0, b"")
    assert "relay mqtt://127.0.0.1:" in line
    assert words[-1].endswith("/_twin/dials")
