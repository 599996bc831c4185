"""A real HTTP or HTTPS server that asks for a login as a 2N device does, and says what a test scripts."""

import contextlib
import datetime as dt
import hashlib
import ipaddress
import json
import re
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "keyturn", "correct horse"


@dataclass(frozen=True, kw_only=True)
class Call:
    """A request as it came, logged in or not."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: Any

    @property
    def authorization(self) -> str:
        """The header of that name, or nothing."""
        return self.headers.get("Authorization", "")


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What the server says; bytes go out as they are, anything else as JSON."""

    body: Any
    status: int = 200
    content_type: str | None = "application/json"
    headers: tuple[tuple[str, str], ...] = ()


def success(result: Any = None) -> Reply:
    return Reply(body={"success": True} if result is None else {"success": True, "result": result})


def failure(code: object, description: str = "", *, param: str = "", status: int = 200) -> Reply:
    return Reply(
        body={"success": False, "error": {"code": code, "param": param, "description": description}}, status=status
    )


@dataclass
class Device:
    """What the server was asked, and how it lets callers in."""

    script: Callable[[Call], Reply]
    auth: str = "digest"
    algorithm: str | None = "MD5"
    qop: str | None = "auth"
    tell_stale: bool = True
    nonce_lasts: int = 1000
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    nonce: str = "nonce-0"
    uses: int = 0
    counts: set[str] = field(default_factory=set)

    def refusal(self, call: Call) -> Reply | None:
        """Let the caller in (None), or say why not."""
        if self.auth == "none":
            return None
        if self.auth == "basic":
            return None if call.authorization.startswith("Basic ") else self._challenge('Basic realm="HTTP API"')
        parts = dict(re.findall(r'(\w+)="?([^",]*)"?', call.authorization.removeprefix("Digest ")))
        right = bool(parts) and parts.get("response") == self._response(call, parts)
        spent = parts.get("nonce") != self.nonce or self.uses >= self.nonce_lasts
        repeated = self.qop is not None and parts.get("nc") in self.counts
        if right and not spent and not repeated:
            self.uses += 1
            self.counts.add(parts.get("nc", ""))
            return None
        return self._fresh_challenge(stale=right and spent)

    def forget_nonce(self) -> None:
        """Change the nonce, as after a while."""
        self.uses = self.nonce_lasts

    def _fresh_challenge(self, *, stale: bool) -> Reply:
        if self.uses >= self.nonce_lasts or self.counts:
            self.nonce, self.uses = f"nonce-{int(self.nonce[6:]) + 1}", 0
            self.counts.clear()
        parts = [f'realm="HTTP API", nonce="{self.nonce}", opaque="x"']
        parts += [f"algorithm={self.algorithm}"] if self.algorithm else []
        parts += [f'qop="{self.qop}"'] if self.qop else []
        parts += ["stale=true"] if stale and self.tell_stale else []
        return self._challenge("Digest " + ", ".join(parts))

    def _challenge(self, value: str) -> Reply:
        return Reply(
            body={"success": False, "error": {"code": 9, "description": "authorization required"}},
            status=401,
            headers=(("WWW-Authenticate", value),),
        )

    def _response(self, call: Call, parts: Mapping[str, str]) -> str:
        algorithm = (self.algorithm or "MD5").upper()
        make = hashlib.sha256 if algorithm.startswith("SHA-256") else hashlib.md5

        def h(text: str) -> str:
            return make(text.encode()).hexdigest()

        ha1 = h(f"{USER}:{parts.get('realm')}:{PASSWORD}")
        if algorithm.endswith("-SESS"):
            ha1 = h(f"{ha1}:{parts.get('nonce')}:{parts.get('cnonce')}")
        ha2 = h(f"{call.method}:{parts.get('uri')}")
        middle = f"{parts.get('nc')}:{parts.get('cnonce')}:auth:" if self.qop else ""
        same = parts.get("uri") == call.headers["X-Target"]
        return h(f"{ha1}:{parts.get('nonce')}:{middle}{ha2}") if same else "of another resource"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    device: Device
    tls: ssl.SSLContext | None = None

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.device.connections += 1
        line = self.tls.wrap_socket(request, server_side=True) if self.tls else request
        with line:
            super().finish_request(line, client_address)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about clients that hang up."""


@contextlib.contextmanager
def device(script: Callable[[Call], Reply], *, tls: ssl.SSLContext | None = None, **how: Any) -> Iterator[Device]:
    """Serve a device on a free port."""
    made = Device(script, **how)
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.device, server.tls = made, tls
        made.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def do_GET(self) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = urlsplit(self.path)
        call = Call(
            method=self.command,
            path=parts.path,
            query=parse_qs(parts.query),
            headers={**dict(self.headers), "X-Target": self.path},
            body=json.loads(content) if content else None,
        )
        device = self.server.device
        device.calls.append(call)
        reply = device.refusal(call) or device.script(call)
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        self.send_response(reply.status)
        self.send_header("Content-Length", str(len(body)))
        if reply.content_type is not None:
            self.send_header("Content-Type", reply.content_type)
        for name, value in reply.headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_GET  # noqa: N815 - named by the standard library

    def log_message(self, *_: object) -> None:
        pass


@dataclass(frozen=True)
class Certificate:
    """A certificate that nobody but itself signed.

    Attributes:
        fingerprint: SHA-256 of its DER, hexadecimal.
        file: it in PEM.
        chain: it and its private key in PEM.
    """

    fingerprint: str
    file: Path
    chain: Path
    server: ssl.SSLContext = field(repr=False)


def self_signed(folder: Path, *, host: str = "127.0.0.1", days: int = 1) -> Certificate:
    """Make one; a negative number of days makes one that has run out."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "2N")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=100))
        .not_valid_after(now + dt.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(host))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    fingerprint = certificate.fingerprint(hashes.SHA256()).hex()
    file = folder / f"{fingerprint[:8]}.pem"
    file.write_bytes(pem)
    chain = folder / f"{fingerprint[:8]}-chain.pem"
    chain.write_bytes(secret + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    return Certificate(fingerprint, file, chain, context)
