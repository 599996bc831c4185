import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from email.utils import format_datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.errors import ConfigurationError, OurFault, TryAgain
from services.clients.answers import Answer
from services.clients.cloud import CloudWire
from services.clients.line import Line
from services.clients.transport import Bounds, Transport, ssl_context
from tests.integration.upstreams import Call, Reply, Upstream, scripted, silent_server
from tests.support.ports import free_port

NOW = dt.datetime(2026, 5, 10, 12, 0, tzinfo=dt.UTC)
SECRET = "s3cr3t-token"


@pytest.fixture(autouse=True, params=[CloudWire, Line], ids=["cloud", "line"])
def _each_wire(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever holds of a transport holds over each wire."""
    defaults = {**(Transport.__init__.__kwdefaults__ or {}), "wire": request.param}
    monkeypatch.setattr(Transport.__init__, "__kwdefaults__", defaults)


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with scripted(lambda _: Reply(body={"message": "hello"})) as server:
        yield server


@pytest.fixture
def transport(upstream: Upstream) -> Iterator[Transport]:
    with closing(Transport(f"{upstream.url}/v1", clock=lambda: NOW, bounds=Bounds(answer_bytes=1000))) as made:
        yield made


def ask(transport: Transport) -> Answer:
    return transport.request("POST", "/x", body={"a": 1}, headers={"Authorization": f"Bearer {SECRET}"})


def trouble(transport: Transport, reply: Reply, upstream: Upstream) -> TryAgain:
    upstream.script = lambda _: reply
    with pytest.raises(TryAgain) as caught:
        ask(transport)
    return caught.value


def test_a_request_goes_below_the_base_url_and_names_its_sender(upstream: Upstream, transport: Transport) -> None:
    answer = ask(transport)
    assert (answer.ok, answer.status, answer.message, answer.json()) == (True, 200, "hello", {"message": "hello"})
    call = upstream.calls[0]
    assert (call.path, call.body, call.authorization) == ("/v1/x", {"a": 1}, f"Bearer {SECRET}")
    assert call.headers["User-Agent"] == "keyturn"


def test_a_redirect_is_an_answer_and_is_not_followed(upstream: Upstream, transport: Transport) -> None:
    upstream.script = lambda _: Reply(status=302, headers={"Location": "/elsewhere"})
    assert ask(transport).status == 302
    assert len(upstream.calls) == 1


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_passing_trouble_is_to_be_tried_again(upstream: Upstream, transport: Transport, status: int) -> None:
    error = trouble(transport, Reply(status=status, body={"Message": "later"}), upstream)
    assert (str(error), error.call, error.status) == (f"POST /x answered {status}: later", "/x", status)
    assert error.sent
    assert error.retry_after is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7),
        (" 0 ", 0),
        (format_datetime(NOW + dt.timedelta(seconds=90), usegmt=True), 90),
        (format_datetime(NOW - dt.timedelta(days=1), usegmt=True), 0),
        ("Sun, 10 May 2026 12:00:30 -0000", 30),
        ("999999", 3600),
        ("9" * 400, 3600),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 99 May 2026 12:00:30 GMT", None),
    ],
)
def test_a_pause_that_is_asked_for_is_kept(
    upstream: Upstream, transport: Transport, value: str, seconds: float | None
) -> None:
    for status in (429, 503):
        assert trouble(transport, Reply(status=status, headers={"Retry-After": value}), upstream).retry_after == seconds


def test_an_error_text_is_bounded_clean_and_without_our_secrets(upstream: Upstream, transport: Transport) -> None:
    echo = f"no\r\n\x1b[31m {SECRET} body-secret " + "x" * 500
    upstream.script = lambda _: Reply(status=400, body={"MESSAGE": echo})
    answer = transport.request("POST", "/x", headers={"Authorization": f"Bearer {SECRET}"}, conceal=("body-secret",))
    assert answer.text.startswith("POST /x answered 400: no   [31m ••• •••")
    assert len(answer.text) < 350
    assert SECRET not in answer.text + repr(answer)


def test_a_refused_connection_was_never_sent() -> None:
    with closing(Transport(f"http://127.0.0.1:{free_port()}")) as transport, pytest.raises(TryAgain) as caught:
        ask(transport)
    assert caught.value.sent is False
    assert caught.value.__context__ is None


def test_an_unknown_host_was_never_sent() -> None:
    with closing(Transport("http://host.invalid")) as transport, pytest.raises(TryAgain) as caught:
        ask(transport)
    assert caught.value.sent is False


def test_a_silent_server_may_have_acted() -> None:
    with silent_server() as port, closing(Transport(f"http://127.0.0.1:{port}", bounds=Bounds(read=0.1))) as transport:
        with pytest.raises(TryAgain) as caught:
            ask(transport)
        assert caught.value.sent is True
        assert "Time" in str(caught.value)  # ReadTimeout, TimeoutError


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"])
def test_a_broken_answer_may_be_of_an_action(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def break_off() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(said)

        thread = threading.Thread(target=break_off)
        thread.start()
        with closing(Transport(address)) as transport, pytest.raises(TryAgain) as caught:
            ask(transport)
        thread.join()
    assert caught.value.sent is True


def test_an_answer_that_drips_is_broken_off() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
                for _ in range(20):
                    time.sleep(0.02)
                    connection.sendall(b" ")

        thread = threading.Thread(target=drip)
        thread.start()
        with (
            closing(Transport(address, bounds=Bounds(whole=0.1))) as transport,
            pytest.raises(TryAgain, match="finish"),
        ):
            ask(transport)
        thread.join()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_connection_on_which_the_server_hung_up_or_went_on_talking_is_not_used_again(said: bytes) -> None:
    answered = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"message":"a"}'
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        done = threading.Event()

        def serve() -> None:
            for _ in range(2):
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(answered)
                    connection.sendall(said)
                done.set()

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(Transport(f"http://127.0.0.1:{listener.getsockname()[1]}")) as transport:
            assert transport.request("GET", "/x").message == "a"
            done.wait(60)
            assert transport.request("GET", "/x").message == "a"
        thread.join()


def test_a_body_that_ends_with_the_connection_is_whole_unless_we_hung_up() -> None:
    for drips, whole in ((False, 60.0), (True, 0.2)):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            stop = threading.Event()

            def serve(listener: socket.socket = listener, stop: threading.Event = stop, *, drips: bool = drips) -> None:
                connection, _ = listener.accept()
                with connection, suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(b'HTTP/1.1 200 OK\r\n\r\n{"message": "a"}')
                    while drips and not stop.wait(0.02):
                        connection.sendall(b" ")

            thread = threading.Thread(target=serve)
            thread.start()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with closing(Transport(address, bounds=Bounds(whole=whole))) as transport:
                if drips:
                    with pytest.raises(TryAgain, match="finish"):
                        transport.request("GET", "/x")
                else:
                    assert transport.request("GET", "/x").message == "a"
            stop.set()
            thread.join()


@pytest.mark.parametrize("url", ["", "ftp://host", "https://", "host"])
def test_the_url_of_an_upstream_names_a_host(url: str) -> None:
    with pytest.raises(ConfigurationError, match="https://host"):
        Transport(url)


def test_what_would_break_a_line_of_the_request_is_not_sent_and_leaves_nothing_behind(
    upstream: Upstream, transport: Transport
) -> None:
    for body, headers in (({"a": "\ud800"}, {}), ({"a": 1}, {"X-Secret": f"{SECRET}\n"}), ({"a": 1}, {"X": "\u20ac"})):
        with pytest.raises(OurFault, match="cannot be sent") as caught:
            transport.request("POST", "/x", body=body, headers=headers)
        assert (caught.value.sent, SECRET in str(caught.value)) == (False, False)
    assert transport.request("POST", "/a b\r\nX: y/\u00e9?#", query="c=d").ok
    assert [call.path for call in upstream.calls] == ["/v1/a%20b%0D%0AX:%20y/%C3%A9?%23?c=d"]


def test_an_answer_that_is_too_large_is_our_fault(upstream: Upstream, transport: Transport) -> None:
    upstream.script = lambda _: Reply(body=b" " * 1001)
    with pytest.raises(OurFault, match="more than 1000 bytes"):
        ask(transport)


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[" * 900, b"{'a': 1}"])
def test_what_is_not_json_is_passing_trouble_where_json_is_needed(
    upstream: Upstream, transport: Transport, body: bytes
) -> None:
    upstream.script = lambda _: Reply(body=body)
    answer = ask(transport)
    assert answer.ok
    with pytest.raises(TryAgain, match="not in JSON"):
        answer.json()


def test_a_header_that_cannot_be_sent_is_our_fault_and_is_not_quoted(transport: Transport) -> None:
    with pytest.raises(OurFault) as caught:
        transport.request("POST", "/x", headers={"Authorization": f"{SECRET}\r\nX: y"})
    assert caught.value.sent is False
    assert SECRET not in str(caught.value)
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_each_thread_has_a_client_of_its_own_and_ended_threads_leave_none(
    upstream: Upstream, transport: Transport
) -> None:
    for _ in range(3):
        thread = threading.Thread(target=ask, args=(transport,))
        thread.start()
        thread.join()
    ask(transport)
    assert len(transport._lines) == 1  # noqa: SLF001 - nothing outside shows that sockets are not hoarded
    assert len(upstream.calls) == 4


def test_after_its_end_nothing_is_sent(upstream: Upstream, transport: Transport) -> None:
    ask(transport)
    transport.close()
    with pytest.raises(RuntimeError, match="closed"):
        ask(transport)
    assert len(upstream.calls) == 1


def test_a_certificate_is_verified_against_the_given_authority(tmp_path: Path) -> None:
    server_context = _self_signed(tmp_path)

    def script(_: Call) -> Reply:
        return Reply(body={"message": "hello"})

    with scripted(script, tls=server_context) as upstream:
        with closing(Transport(upstream.url)) as stranger, pytest.raises(OurFault, match="not trusted") as caught:
            ask(stranger)
        assert caught.value.sent is False
        with closing(Transport(upstream.url, ca_file=tmp_path / "ca.pem")) as friend:
            assert ask(friend).message == "hello"


def test_one_ssl_context_serves_the_process(tmp_path: Path) -> None:
    assert ssl_context() is ssl_context()
    for name in ("missing.pem", "empty.pem"):
        (tmp_path / "empty.pem").write_text("no certificate")
        with pytest.raises(ConfigurationError, match=name):
            ssl_context(tmp_path / name)


def _self_signed(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "upstream")])
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime.now(dt.UTC) - dt.timedelta(days=1))
        .not_valid_after(dt.datetime.now(dt.UTC) + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "server.pem").write_bytes(secret + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    return context
