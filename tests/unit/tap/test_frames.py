"""Frames, paths and result codes on their own."""

import pytest

from services.clients.tap import (
    DeviceRefusal,
    LocalProtocolError,
    Method,
    Path,
    RemoteProtocolError,
    Request,
    Response,
    Status,
)
from services.clients.tap.frames import (
    MAX_BODY,
    PAIRING,
    decode_request,
    decode_request_frame,
    decode_response,
    encode_request,
    request_length,
)
from services.clients.tap.status import TEXTS, describe, is_success


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("/1024//41", "0400ffff0029"),
        ("/1024/0/41", "040000000029"),
        ("/3//2", "0003ffff0002"),
        ("/1025/65535/0", "0401ffff0000"),
        ("/1025/1/65535", "04010001ffff"),
    ],
)
def test_paths(text: str, data: str) -> None:
    path = Path.parse(text)
    assert path.encode().hex() == data
    assert Path.decode(bytes.fromhex(data)) == path
    assert str(path) == text


def test_no_instance_and_instance_65535_are_one() -> None:
    assert Path.parse("/1025//0") == Path(1025, 65535, 0)
    assert Path(1024, 65535, 1) == Path.parse("/1024//1")


@pytest.mark.parametrize(
    "text",
    ["", "/", "1024//1", "/1024/1", "/1024//1/2", "//1/2", "/1024//", "/1024//x", "/1024//-1", "/1024//65536", "/1//٣"],
)
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(LocalProtocolError):
        Path.parse(text)


def test_a_path_has_six_bytes() -> None:
    with pytest.raises(RemoteProtocolError):
        Path.decode(bytes(5))


@pytest.mark.parametrize(("method", "head"), [(Method.GET, "a2ca"), (Method.POST, "a2da"), (Method.PUT, "a2da")])
def test_requests_of_every_method(method: Method, head: str) -> None:
    request = Request(method, Path(1024, None, 9), b"TAP")
    apdu = encode_request(request)
    assert apdu.hex().startswith(head)
    assert decode_request(apdu) == request


def test_a_body_in_clear_has_at_most_248_bytes() -> None:
    path = Path(1024, None, 36)
    assert len(encode_request(Request(Method.PUT, path, bytes(MAX_BODY)))) == 260
    with pytest.raises(LocalProtocolError):
        encode_request(Request(Method.PUT, path, bytes(MAX_BODY + 1)))


def test_a_frame_needs_its_head() -> None:
    with pytest.raises(RemoteProtocolError):
        decode_request_frame(bytes(6))


def test_a_response_needs_status_and_status_word() -> None:
    assert decode_response(bytes.fromhex("449000")) == Response(Status.CHANGED)
    for data in ("", "90", "9000", "44", "44911e"):
        with pytest.raises(RemoteProtocolError):
            decode_response(bytes.fromhex(data))


@pytest.mark.parametrize(
    ("data", "length"), [("", None), ("a2", None), ("a2ca0000", None), ("a2ca000007", 12), ("00", 14), ("00a404", 14)]
)
def test_the_length_of_a_request_shows_early(data: str, length: int | None) -> None:
    assert request_length(bytes.fromhex(data)) == length
    assert request_length(PAIRING + b"\xa2") == 14


@pytest.mark.parametrize("data", ["01", "a3", "00a5"])
def test_what_opens_no_request_shows_at_once(data: str) -> None:
    with pytest.raises(RemoteProtocolError):
        request_length(bytes.fromhex(data))


def test_bit_7_is_failure_and_nothing_else_is() -> None:
    assert all(is_success(code) == (code < 128) for code in range(256))
    assert set(TEXTS) == set(Status)
    assert Response(Status.BUSY).ok
    assert not Response(Status.BUSY).done


def test_codes_are_named_for_people() -> None:
    assert describe(0x81) == "81 UNAUTHORIZED (the present user may not do this)"
    assert describe(0xEE) == "EE, a code that no document names"
    assert str(DeviceRefusal("wifi.putSSID", 0x87)).startswith("wifi.putSSID: the device answered 87 RESOURCE_LOCKED")
