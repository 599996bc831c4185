"""Checks of the vectors about logins, verifiers, the encrypted channel and its limits."""

import pytest

from services.clients.tap import (
    LocalProtocolError,
    Method,
    Path,
    Request,
    Verifier,
    change_password,
    run,
)
from services.clients.tap.channel import sealed_size
from services.clients.tap.scram import hash_password
from tests.unit.tap.lines import Desk, Line, Numbered, scripted, session_line
from tests.unit.tap.vectors import FIRMWARE, VECTORS, Vector


def check_limit(_: str, given: Vector, wanted: Vector) -> None:
    size = given["bodyLength"]
    request = Request(Method.PUT, Path.parse("/1024//36"), bytes(size))
    if "period" not in given:
        line = Line(scripted(["449000"]))
        line.exchange(request)
        assert line.asked[0].hex().startswith(wanted["head"])
    elif size in {226, 210, 220}:  # the vendor's client lets Lc overflow; we refuse
        line = session_line(period=given["period"])
        with pytest.raises(LocalProtocolError):
            line.client.send(request)
        iv = 16 * given["period"]
        assert 5 + 7 + iv + sealed_size(7 + size) == wanted["frameLength"]
        assert f"{(7 + iv + sealed_size(7 + size)) % 256:02x}" == wanted["lc"]
        return
    else:
        line = session_line(period=given["period"])
        assert line.client.max_body == size
        line.exchange(request)
    assert len(line.asked[0]) == wanted["frameLength"]
    assert f"{line.asked[0][4]:02x}" == wanted["lc"]


def check_scram(name: str, given: Vector, wanted: Vector) -> None:
    if name == "client proof full HMAC":
        verifier = Verifier(bytes.fromhex(given["storedKey"]), bytes(16), bytes(4))
        proof = verifier.client_proof(int(given["clientNonce"], 16), int(given["serverNonce"], 16))
        assert proof.hex() == wanted["proof"] == wanted["hmac"][:32]
        return
    client_nonce, server_nonce = int(given["clientNonce"], 16), int(given["serverNonce"], 16)
    salt = bytes.fromhex(given["salt"])
    verifier = Verifier.make(given["password"], salt=salt, iterations=given["iterations"])
    assert hash_password(given["password"]).hex() == wanted["hashedPassword"]
    assert (verifier.stored.hex(), verifier.server.hex()) == (wanted["storedKey"], wanted["serverKey"])
    assert verifier.client_proof(client_nonce, server_nonce).hex() == wanted["clientProof"]
    assert verifier.server_proof(client_nonce, server_nonce).hex() == wanted["serverProof"]
    assert verifier.session_key(client_nonce, server_nonce).hex() == wanted["sessionKey"]
    check_scram_line(given, wanted)


def check_scram_line(given: Vector, wanted: Vector) -> None:
    """The same login once more, frame by frame: our client and the answers as recorded, from our device."""
    nonces = Numbered(salt=bytes.fromhex(given["salt"]))
    desk = Desk(users={given["username"]: given["password"]}, iterations=given["iterations"], nonces=nonces)
    desk.server_nonce = int(given["serverNonce"], 16)
    line = Line(desk)
    line.log_in(given["username"], given["password"], nonce=int(given["clientNonce"], 16))
    assert [frame.hex() for frame in line.asked] == [wanted["loginRequest"], wanted["proofRequest"]]
    assert [frame.hex() for frame in line.answered] == [given["loginReply"], given["proofReply"]]
    assert desk.key.hex() == wanted["sessionKey"]


def check_verifier(_: str, given: Vector, wanted: Vector) -> None:
    if "hash16" in wanted:
        hashed = hash_password(bytes.fromhex(given["passwordUtf8"]).decode())
        assert hashed.hex() == wanted["hash16"] == wanted["full64"][:32]
        return
    line = Line(scripted([f"45{given['hashIterationReply']:08x}9000", "449000"]))
    run(change_password(given["groupId"], given["password"], salt=bytes.fromhex(given["salt"])), line.exchange)
    assert [frame.hex() for frame in line.asked] == wanted["requests"]
    assert Verifier.decode(line.asked[1][12:]).encode().hex() == wanted["verifier"]


def check_encrypted(name: str, given: Vector, wanted: Vector) -> None:
    if "calls" in wanted:
        check_period(given, wanted)
    elif "replies" in given:
        check_ccom(given, wanted)
    else:
        check_frame(name, given)


def check_frame(name: str, given: Vector) -> None:
    """A frame stands in a row of frames; the row is played up to it."""
    series = [vector for vector in VECTORS if vector["name"].startswith(name.split(",", maxsplit=1)[0] + ", frame")]
    with_iv = "clientIV" in given
    line = session_line(
        period=int(with_iv),
        client_ivs=[bytes.fromhex(vector["inputs"].get("clientIV", "")) for vector in series],
        device_ivs=[bytes.fromhex(vector["inputs"].get("deviceIV", "")) for vector in series],
    )
    for vector in series[: given["frameId"] + 1]:
        inner_request = bytes.fromhex(vector["outputs"]["innerRequestPlain"])
        inner_reply = bytes.fromhex(vector["inputs"]["innerReplyPlain"])
        frame = inner_request[4 : 4 + int.from_bytes(inner_request[2:4], "big")]
        reply = inner_reply[4 : 4 + int.from_bytes(inner_reply[2:4], "big")]
        line.desk = scripted([reply.hex()])
        path = Path.decode(frame[1:7])
        answer = line.exchange(Request(Method(frame[0]), path, frame[7:]))
        assert line.asked[-1].hex() == vector["outputs"]["wireRequest"]
        assert line.answered[-1].hex() == vector["inputs"]["wireReply"]
        assert vector["outputs"]["body"] in {answer.body.hex(), answer.body.decode("latin-1")}
        assert answer.status == vector["outputs"].get("status", answer.status)


def check_period(given: Vector, wanted: Vector) -> None:
    client_ivs, device_ivs = ([bytes.fromhex(iv) for iv in given[end]] for end in ("clientIVs", "deviceIVs"))
    line = session_line(period=3, client_ivs=client_ivs, device_ivs=device_ivs)
    assert isinstance(line.desk, Desk)
    line.desk.values[FIRMWARE.path] = b"1.113"
    for call in wanted["calls"]:
        line.asked.clear()
        line.answered.clear()
        assert line.exchange(FIRMWARE).body.decode() == call["body"]
        assert [frame.hex() for frame in line.asked] == call["wireRequests"]
        assert [frame.hex() for frame in line.answered] == call["wireReplies"]


def check_ccom(given: Vector, wanted: Vector) -> None:
    """The third reply is sealed on the wire, so the desk gives what is in it."""
    replies = [*given["replies"][:2], "45312e3131339000"]
    line = Line(
        scripted(replies), period=wanted["period"], client_nonces=Numbered(ivs=[bytes.fromhex(given["clientIV"])])
    )
    line.client.pause()
    line.initialize()
    line.exchange(line.client.refresh_request())
    line.client.resume()
    assert line.exchange(FIRMWARE).body.decode() == wanted["body"]
    assert [frame.hex() for frame in line.asked] == wanted["requests"]
    assert [frame.hex() for frame in line.answered] == given["replies"]
