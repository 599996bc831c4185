"""Whom the client of a 2N device trusts, and what it says before it does."""

import socket
import ssl
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.errors import ConfigurationError, InputError, OurFault, TryAgain
from services.clients.transport import Bounds
from services.clients.twon import TwonAddress, TwonClient
from services.clients.twon.pin import pinned_context
from tests.integration.twon_stand_in import PASSWORD, USER, Call, Reply, device, self_signed, success
from tests.integration.upstreams import silent_server

LOGIN: dict[str, Any] = {"user": USER, "password": SecretStr(PASSWORD)}


def info(_: Call) -> Reply:
    return success({"serialNumber": "54-1046-0745", "swVersion": "2.40.1"})


def test_a_self_signed_certificate_is_trusted_by_its_fingerprint_alone(tmp_path: Path) -> None:
    shown = self_signed(tmp_path, host="192.0.2.1", days=-1)
    colons = ":".join(shown.fingerprint[at : at + 2] for at in range(0, 64, 2)).upper()
    with device(info, tls=shown.server) as at:
        with TwonClient(TwonAddress(url=at.url, fingerprint=colons, **LOGIN)) as client:
            assert client.system_info().serial_number == "54-1046-0745"
            assert client.system_info().version
        assert at.connections == 1


def test_another_certificate_ends_the_connection_before_a_byte_of_a_request(tmp_path: Path) -> None:
    pinned, shown = self_signed(tmp_path), self_signed(tmp_path)
    with device(info, tls=shown.server) as at:
        with (
            TwonClient(TwonAddress(url=at.url, fingerprint=pinned.fingerprint, **LOGIN)) as client,
            pytest.raises(OurFault) as caught,
        ):
            client.system_info()
        assert (at.connections, at.calls) == (1, [])
    assert f"expected the fingerprint {pinned.fingerprint}, it showed {shown.fingerprint}" in str(caught.value)
    assert caught.value.sent is False
    assert caught.value.__context__ is None


def test_each_new_connection_of_a_session_is_looked_at(tmp_path: Path) -> None:
    pinned, swapped = self_signed(tmp_path), self_signed(tmp_path)

    def once(call: Call) -> Reply:
        return Reply(body=info(call).body, headers=(("Connection", "close"),))

    with device(once, tls=pinned.server, auth="none") as at:
        address = TwonAddress(url=at.url, fingerprint=pinned.fingerprint, auth="none")
        with TwonClient(address) as client:
            client.system_info()
            pinned.server.load_cert_chain(swapped.chain)
            with pytest.raises(OurFault, match=swapped.fingerprint):
                client.system_info()
            assert (at.connections, len(at.calls)) == (2, 1)


def test_without_a_pin_a_self_signed_certificate_is_not_trusted(tmp_path: Path) -> None:
    shown = self_signed(tmp_path)
    with device(info, tls=shown.server) as at:
        with TwonClient(TwonAddress(url=at.url, **LOGIN)) as client, pytest.raises(OurFault, match="not trusted"):
            client.system_info()
        assert at.calls == []


def test_a_ca_file_is_trusted_for_the_names_in_its_certificates(tmp_path: Path) -> None:
    for host, trusted in (("127.0.0.1", True), ("192.0.2.1", False)):
        shown = self_signed(tmp_path, host=host)
        with (
            device(info, tls=shown.server) as at,
            TwonClient(TwonAddress(url=at.url, ca_file=shown.file, **LOGIN)) as client,
        ):
            if trusted:
                assert client.system_info().version
            else:
                with pytest.raises(OurFault, match="not trusted"):
                    client.system_info()
                assert at.calls == []


def test_a_ca_file_that_cannot_be_used_is_a_matter_of_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none\.pem"):
        TwonClient(TwonAddress(url="https://127.0.0.1", ca_file=tmp_path / "none.pem", **LOGIN))


def test_one_context_serves_every_session_with_a_pin_and_cannot_be_gone_around() -> None:
    context = pinned_context("0" * 64)
    assert context is pinned_context("0" * 64)
    with pytest.raises(NotImplementedError):
        context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO())


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"url": "http://10.0.0.1"}, "in the clear"),
        ({"url": "ftp://10.0.0.1"}, "expected https://host"),
        ({"url": "10.0.0.1"}, "expected https://host"),
        ({"url": "https://"}, "expected https://host"),
        ({"url": "https://10.0.0.1:99999"}, "expected https://host"),
        ({"url": "https://[::1"}, "expected https://host"),
        ({"url": "https://10.0.0.1 /x"}, "expected https://host"),
        ({"url": "https://admin:x@10.0.0.1"}, "no user"),
        ({"url": "https://10.0.0.1/?a=b"}, "query"),
        ({"fingerprint": "12:34"}, "64 hexadecimal digits"),
        ({"fingerprint": "0" * 64, "ca_file": Path("ca.pem")}, "not both"),
        ({"url": "http://10.0.0.1", "in_clear": True, "fingerprint": "0" * 64}, "no meaning for http"),
        ({"password": None}, "digest authentication needs it"),
        ({"password": SecretStr(""), "auth": "basic"}, "basic authentication needs it"),
        ({"user": ""}, "without a colon"),
        ({"user": "a:b"}, "without a colon"),
        ({"user": "jos\u00e9"}, "ASCII"),
        ({"auth": "magic"}, "expected one of digest, basic, none"),
    ],
)
def test_an_address_that_does_not_fit_together_is_refused(parts: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        TwonAddress(**{"url": "https://10.0.0.1", **LOGIN, **parts})


def test_an_address_tells_every_fault_at_once_and_no_password() -> None:
    with pytest.raises(InputError) as caught:
        TwonAddress(url="http://10.0.0.1", user="", fingerprint="x")
    assert len(caught.value.faults) == 5
    assert PASSWORD not in repr(TwonAddress(url="https://10.0.0.1:8443", **LOGIN))


@pytest.mark.parametrize("early", [True, False])
def test_an_answer_that_drips_is_broken_off(early: bool) -> None:  # noqa: FBT001 - pytest's way
    said = b"" if early else b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, suppress(OSError):
            connection.sendall(said or b"HTTP/1.1 200 OK\r\nX: ")
            while not stop.wait(0.02):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,), daemon=True)
        thread.start()
        address = TwonAddress(url=f"http://127.0.0.1:{listener.getsockname()[1]}", auth="none", in_clear=True)
        with TwonClient(address, Bounds(read=1, whole=0.2)) as client, pytest.raises(TryAgain, match="finish"):
            client.system_info()
        stop.set()
        thread.join()


def test_a_device_that_is_silent_during_the_handshake_is_passing_trouble() -> None:
    with silent_server() as port:
        address = TwonAddress(url=f"https://127.0.0.1:{port}", fingerprint="0" * 64, **LOGIN)
        with TwonClient(address, Bounds(connect=0.1)) as client, pytest.raises(TryAgain) as caught:
            client.system_info()
    assert caught.value.sent is False
