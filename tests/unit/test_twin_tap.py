"""The Tap's twin without any I/O: sessions that run out, memory that fills, logins without SCRAM, odd settings."""

from dataclasses import replace

import pytest

from services.clients.tap import Method, Path, Request, Response, Verifier, login, run
from services.clients.tap.enumerations import HostProtocol
from services.clients.tap.registry import body_type, calls
from services.clients.tap.scram import encode_name, hash_password
from services.sandbox.tap import resources
from services.sandbox.tap.device import Device
from services.sandbox.tap.factory import ADMIN, MASTERS, STAFF, TECHNICIAN, Broker, Factory
from services.sandbox.tap.line import Line
from services.sandbox.tap.memory import MOST_APPENDED, MOST_INSTANCES
from services.sandbox.tap.relay import RelaySettings

QUICK = Factory(iterations=10)
OPEN = Factory(iterations=10, configured=False, users=MASTERS)


class Counting:
    """Numbers that count up."""

    def __init__(self) -> None:
        self.count = 0

    def nonce(self) -> int:
        """Give the next number."""
        self.count += 1
        return self.count

    def salt(self) -> bytes:
        """Give the next four bytes."""
        return (0x0100_0000 + self.nonce()).to_bytes(4, "big")

    def iv(self) -> bytes:
        """Give the next sixteen bytes."""
        return self.nonce().to_bytes(16, "big")


class Bench:
    """A device, one visitor, a clock that stands still."""

    def __init__(self, factory: Factory = QUICK, *, host: HostProtocol = HostProtocol.WIFI) -> None:
        self.now = 1000.0
        self.device = Device(factory, nonces=Counting(), clock=lambda: self.now)
        self.visitor = self.device.welcome(host)

    def ask(self, method: Method, path: str, body: bytes = b"") -> Response:
        """Have a request answered."""
        return self.device.answer(self.visitor, Request(method, Path.parse(path), body))

    def get(self, path: str, body: bytes = b"") -> Response:
        """Read."""
        return self.ask(Method.GET, path, body)

    def put(self, path: str, body: bytes) -> int:
        """Store."""
        return self.ask(Method.PUT, path, body).status

    def post(self, path: str, body: bytes = b"") -> int:
        """Execute."""
        return self.ask(Method.POST, path, body).status

    def log_in(self, user: str, password: str | None = None) -> int:
        """Log in where SCRAM is off, by hash."""
        return self.post("/1024//0", encode_name(user) + hash_password(user if password is None else password))

    def scram(self, user: str, password: str) -> bytes:
        """Log in by SCRAM."""
        exchange = lambda request: self.device.answer(self.visitor, request)  # noqa: E731 - one line reads best
        return run(login(user, password, nonce=7), exchange)


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def opened() -> Bench:
    return Bench(OPEN)


def test_every_reply_of_the_registry_can_be_read_by_its_own_type(opened: Bench) -> None:
    """The vendor's client throws at a value that it does not know, so even a fresh Tap must say something sound."""
    for created in ("/1025/7/65535", "/1028/7/65535", "/1029/7/65535"):
        assert opened.post(created) == 0x41
    refused = {}
    for call in calls():
        if call.method is not Method.GET or call.request or not call.is_in(OPEN.firmware):
            continue
        path = call.path(*(100 if "feature" in call.variables else 7 for _ in call.variables))
        answer = opened.device.answer(opened.visitor, Request(Method.GET, path))
        if answer.status == 0x45:
            call.decode(answer.body)
        else:
            refused[str(call)] = answer.status
    behind = {"target.getRegisterAccess": 0xA5, "target.readBytes": 0xA5}
    assert refused == behind | {"dataLog.dequeueOnePacket": 0x84}


def test_every_stored_setting_is_read_back(opened: Bench) -> None:
    """What a PUT of the registry stores, the GET of the same path gives; where there is none, nothing does."""
    otherwise = {"/1024//3", "/1024//34", "/1024//42", "/3//13"}  # read in another form, or of the present line
    readable = {call.template for call in calls() if call.method is Method.GET}
    for call in calls():
        plain = call.method is Method.PUT and not call.variables and call.template not in otherwise
        body = sample(call.request)
        if plain and call.is_in(OPEN.firmware) and opened.put(call.template, body) == 0x44:
            answer = opened.get(call.template)
            assert answer == (Response(0x45, body) if call.template in readable else Response(0x85)), call


def sample(name: str) -> bytes:
    """Give a body of a type: some text, or the shortest zeros that can be read."""
    if name in {"", "ascii", "bytes", "appended"}:
        return b"abc"
    return resources.zeros_of(body_type(name.removesuffix("?")))


def test_session_ends_when_it_has_been_silent_for_its_lifetime() -> None:
    bench = Bench()
    line = Line(bench.device, HostProtocol.WIFI)
    line.visitor.group = ADMIN
    bench.device.memory.groups[ADMIN].lifetime = 30
    frame = bytes.fromhex("A2CA000007010400FFFF0007")
    for step, group in ((30, "ffff"), (30, "ffff"), (31, "0000")):
        bench.now += step
        assert [reply.data.hex() for reply in line.hear(frame)] == [f"45{group}9000"]


def test_lifetime_of_zero_never_ends() -> None:
    bench = Bench()
    bench.visitor.group = ADMIN
    bench.device.memory.groups[ADMIN].lifetime = 0
    bench.now += 1e9
    assert not bench.device.overstayed(bench.visitor)


def test_login_by_hash_where_scram_is_off() -> None:
    bench = Bench(replace(QUICK, scram=False))
    assert bench.get("/1024//40", bytes(20)) == Response(0x87)
    assert bench.log_in("admin", "wrong") == 0x81
    assert bench.log_in("nobody") == 0x81
    assert bench.post("/1024//0", b"short") == 0x80
    assert bench.log_in("admin") == 0x44
    assert bench.post("/1025/1/2", b"too short") == 0x86
    assert bench.post("/1025/1/2", hash_password("new")) == 0x44
    assert bench.log_in("tech") == 0x81
    assert bench.log_in("tech", "new") == 0x44


def test_login_in_clear_where_hashing_is_off_too() -> None:
    bench = Bench(replace(QUICK, scram=False, settings={"/1024//6": b"\x00\x00"}))
    credential = encode_name("admin") + encode_name("admin")
    assert bench.post("/1024//0", credential) == 0x44
    assert bench.post("/1025/1/2", b"longer than sixteen") == 0x86
    assert bench.post("/1025/1/2", b"new") == 0x44
    assert bench.post("/1024//0", encode_name("tech") + encode_name("new")) == 0x44
    assert bench.get("/1024//7").body == TECHNICIAN.to_bytes(2, "big")


def test_scram_takes_verifiers_only_and_an_all_zero_salt_disables_the_login(bench: Bench) -> None:
    bench.visitor.group = ADMIN
    assert bench.post("/1025/1/2", hash_password("new")) == 0x86
    assert bench.post("/1025/1/2", Verifier.make("new", salt=b"salt", iterations=10).encode()) == 0x44
    bench.scram("tech", "new")
    bench.visitor.group = ADMIN
    assert bench.post("/1025/1/2", Verifier.make("new", salt=bytes(4), iterations=10).encode()) == 0x44
    with pytest.raises(Exception, match="81"):
        bench.scram("tech", "new")


def test_new_iteration_count_locks_nobody_out(bench: Bench) -> None:
    bench.visitor.group = ADMIN
    assert bench.put("/1024//42", b"\x00\x20") == 0x44
    assert len(bench.scram("tech", "tech")) == 16
    assert bench.device.memory.groups[TECHNICIAN].iterations == 10


def test_unknown_user_gets_the_same_salt_each_time(bench: Bench) -> None:
    params = encode_name("nobody") + bytes(4)
    first, second = (bench.get("/1024//40", params).body for _ in range(2))
    assert first[4:] == second[4:]
    assert first[:4] != second[:4]
    assert bench.get("/1024//40", b"short") == Response(0x80)


def test_guessed_names_fill_no_memory(bench: Bench) -> None:
    for number in range(300):
        bench.get("/1024//40", encode_name(f"user-{number}") + bytes(4))
        assert bench.get("/1024//41", bytes(16)) == Response(0x81)
    assert len(bench.device.doorkeeper._failures) <= 256  # noqa: SLF001 - there is no other way to see it


def test_proof_without_challenge(bench: Bench) -> None:
    assert bench.get("/1024//41", bytes(16)) == Response(0x81)


def test_login_by_the_number_of_the_chip(bench: Bench) -> None:
    uid = bench.get("/1024//5").body
    assert bench.post("/1024//5", uid) == 0x87
    bench.visitor.group = ADMIN
    bench.put("/1024//6", b"\x00\x18")
    bench.visitor.leave()
    assert bench.post("/1024//5", b"wrong") == 0x81
    assert bench.post("/1024//5", uid) == 0x44
    assert bench.get("/1024//7").body == b"\xff\xff"


def test_factory_reset_may_be_locked(bench: Bench) -> None:
    bench.visitor.group = ADMIN
    bench.put("/1024//6", b"\x00\x19")
    assert bench.post("/3//5") == 0x87


def test_hidden_wifi_key(bench: Bench) -> None:
    bench.visitor.group = ADMIN
    bench.put("/1024//16", b"secret")
    assert bench.get("/1024//16").body == b"secret"
    bench.put("/1024//99", b"\x01")
    assert bench.get("/1024//16") == Response(0x87)


def test_clock_is_written_as_seconds_and_read_as_text(opened: Bench) -> None:
    assert opened.put("/3//13", (1_704_112_210).to_bytes(4, "big")) == 0x44
    assert opened.get("/3//13").body.startswith(b"2024-01-01T12:30:1")
    local = opened.get("/1024//79").body
    assert [int.from_bytes(local[at : at + 4], "big") for at in range(4, 36, 4)] == [30, 12, 1, 0, 124, 1, 0, 0]
    assert opened.put("/3//13", b"1") == 0x86


def test_live_value_of_a_variable_hides_the_stored_one_until_the_restart(opened: Bench) -> None:
    opened.post("/1029/7/65535", b"\x01")
    opened.put("/1029/7/4", b"stored")
    assert opened.post("/1029/7/5", b"live") == 0x44
    assert opened.get("/1029/7/4").body == b"live"
    opened.device.restart()
    assert opened.get("/1029/7/4").body == b"stored"


def test_data_log_runs_until_it_is_stopped(opened: Bench) -> None:
    assert opened.get("/1031//0").body == b"\xfe"
    opened.post("/1031//0")
    assert opened.get("/1031//0").body == b"\x01"
    opened.post("/1031//1")
    assert opened.get("/1031//0").body == b"\xfe"


def test_nothing_is_connected_behind_the_tap(opened: Bench) -> None:
    assert opened.get("/1027//34", b"hello") == Response(0xA5)
    assert opened.post("/1027//34", b"hello") == 0xA5


def test_full_memory_is_said(opened: Bench) -> None:
    codes = [opened.post(f"/1025/{number}/65535") for number in range(1, MOST_INSTANCES)]
    assert (codes[0], codes[-1]) == (0x41, 0xA7)
    assert [opened.post(f"/1028/{number}/65535") for number in range(MOST_INSTANCES + 1)][-1] == 0xA7
    writes = [opened.put("/1024//74", bytes(248)) for _ in range(MOST_APPENDED // 248 + 1)]
    assert (writes[0], writes[-1]) == (0x44, 0xA7)


def test_an_empty_write_erases_the_script(opened: Bench) -> None:
    opened.put("/1024//74", b"code")
    opened.put("/1024//74", b"")
    assert opened.device.memory.stored[Path.parse("/1024//74")] == b""


def test_groups_have_one_name_each_and_aliases_that_exist(opened: Bench) -> None:
    assert opened.put("/1025/65534/0", b"admin") == 0x86
    assert opened.put("/1025/65534/0", b"") == 0x86
    assert opened.put("/1025/65534/0", b"chief") == 0x44
    assert opened.put("/1025/65534/5", b"\x00\x63") == 0x86
    assert opened.put("/1025/65534/4", b"\x63") == 0x86


@pytest.mark.parametrize(
    ("body", "right"),
    [(b"\x41\x01\x03", True), (b"\x61\xff\xff\x03", True), (b"\x61\xff\x03", True), (b"\x42\x01\x03", False)],
)
def test_access_lists_in_every_form_that_the_vendor_writes(opened: Bench, body: bytes, *, right: bool) -> None:
    opened.post("/1028/5/65535")
    assert opened.put("/1028/5/0", body) == (0x44 if right else 0x86)


def test_sealed_frames_and_vectors_in_wrong_places(bench: Bench) -> None:
    assert bench.get("/1024//48", bytes(16)) == Response(0x85)
    assert bench.get("/1024//45", b"short") == Response(0x80)


def test_serial_numbers_count_up_with_their_width() -> None:
    assert QUICK.numbered(58).serial == "IOTZ00000000000100"
    assert Factory(serial="TAP").numbered(3).serial == "TAP3"


def test_factory_passwords_are_nowhere_in_print() -> None:
    assert "supervisor'" in repr(STAFF)
    assert all(f"password='{user.password}'" not in repr(user) for user in STAFF)
    assert "net_key" not in repr(Broker("localhost", 1883, "hush"))


@pytest.mark.parametrize(("path", "body"), [("/1024//50", b""), ("/1024//51", b"mqtt")])
def test_relay_wants_a_broker_that_can_be_used(path: str, body: bytes) -> None:
    factory = replace(QUICK, broker=Broker("localhost", 1883), settings={path: body})
    assert RelaySettings.of(Device(factory)) is None


def test_relay_logs_in_to_its_broker_by_what_is_stored() -> None:
    settings = {"/1024//51": b"", "/1024//52": b"me", "/1024//54": b"secret"}
    found = RelaySettings.of(Device(replace(QUICK, broker=Broker("localhost", 9), settings=settings)))
    assert found is not None
    assert (found.port, found.client_id, found.username, found.password) == (1883, "me", QUICK.serial, "secret")
