"""A running CENTAGATE twin, with access to its dials, counts and state."""

import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import quote

import httpx

from services.sandbox.centagate.app import build
from services.sandbox.centagate.twin import Twin
from services.sandbox.server import running

V2 = "/v2/CentagateWS/webresources"
PLAIN = "/CentagateWS/webresources"


class CentagateTwin:
    """A twin on a port of its own, seen from outside; everything goes through HTTP.

    Attributes:
        url: the root URL; the API is below ``/CentagateWS/webresources`` and ``/v2/CentagateWS/webresources`` there.
        admin: username of the first administrator.
        password: the administrator's password.
        integration_key: the key that a login names.
        secret_key: the key that signs a login.
    """

    def __init__(self, url: str, twin: Twin) -> None:
        admin = next(iter(twin.administrators.values()))
        self.url = url
        self.admin = admin.username
        self.password = admin.password
        self.integration_key = twin.app.integration_key
        self.secret_key = twin.app.secret_key
        self.http = httpx.Client(base_url=url, timeout=60, trust_env=False)

    def close(self) -> None:
        """Hang up."""
        self.http.close()

    def control(self, path: str, /, **body: Any) -> Any:
        """Use the twin's own face."""
        answer = self.http.post(f"/_twin{path}", json=body)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def turn(self, **dials: Any) -> None:
        """Turn dials."""
        answer = self.http.patch("/_twin/dials", json=dials)
        assert answer.status_code == 200, answer.text

    def next(self, path: str = "*", *, code: int | None = None, calls: int = 1, **order: Any) -> None:
        """Let the next calls of a path be answered with a return code, or go wrong in another way."""
        kind = {"kind": "code", "code": code} if code is not None else {}
        self.control("/next", **{"path": path, "calls": calls, **kind, **order})

    def user(self, username: str, **more: Any) -> str:
        """Make a user and give the name."""
        self.control("/users", username=username, **more)
        return username

    def hardware(self, serial: str, **more: Any) -> str:
        """Import a hardware token and give its serial number; it is deactivated and unbound."""
        self.control("/hardware", serial=serial, **more)
        return serial

    def end_sessions(self) -> None:
        """Make every session invalid at once."""
        self.control("/sessions/end")

    def reset(self) -> None:
        """Start a new story on the same server."""
        self.control("/reset")

    def stats(self) -> Any:
        """What the twin counted."""
        return self.http.get("/_twin/stats").json()

    def calls(self, path: str) -> int:
        """How often a path such as ``token/registerActiveToken`` was called."""
        return int(self.stats()["calls"].get(path, 0))

    def registrations(self, target: str) -> int:
        """How often the registration of ``username/type`` took effect."""
        return int(self.stats()["registrations"].get(target, 0))

    def state(self) -> Any:
        """Every user and token."""
        return self.http.get("/_twin/state").json()

    def tokens(self, username: str) -> dict[str, str]:
        """The numbers of a user's tokens by type: ``sms`` and ``otp``."""
        return {token["type"]: token["number"] for token in self.state()["tokens"] if token["user"] == username}


class Caller:
    """A plain caller of the API, written from the document: it knows nothing of Keyturn's own client."""

    def __init__(self, twin: CentagateTwin) -> None:
        self.twin = twin
        self.cen_token = ""

    def login_body(self, **changes: str) -> dict[str, str]:
        """A login with the optional members left out; a change is made before it is signed."""
        body = {
            "username": self.twin.admin,
            "password": self.twin.password,
            "integrationKey": self.twin.integration_key,
            "unixTimestamp": str(int(time.time())),
            **changes,
        }
        text = body["username"] + body["password"] + body["integrationKey"] + body["unixTimestamp"]
        return {**body, "hmac": signed(self.twin.secret_key, text)}

    def authenticate(self, **changes: str) -> Any:
        """Try to log in and give the answer."""
        return self.post("auth/authBasic", self.login_body(**changes))

    def post(self, path: str, body: Any) -> Any:
        """Make a call of authentication and give the answer."""
        return self.twin.http.post(f"{V2}/{path}", json=body).json()

    def log_in(self) -> dict[str, str]:
        """Open a session and give what the login tells."""
        answer = self.authenticate()
        assert answer["code"] == "0", answer
        told: dict[str, str] = json.loads(answer["object"])
        self.use(told)
        return told

    def use(self, told: dict[str, str]) -> None:
        """Make the further calls in this session."""
        self.cen_token = signed(told["secretCode"], self.twin.admin + told["authToken"])

    def put(self, path: str, *, prefix: str = PLAIN, timeout: float = 60, **body: Any) -> httpx.Response:
        """Make a management call."""
        url = f"{prefix}/{path}/{quote(self.twin.admin, safe='')}"
        return self.twin.http.put(url, json={"cenToken": self.cen_token, **body}, timeout=timeout)

    def code(self, path: str, **body: Any) -> int:
        """Make a management call and give its return code."""
        return int(self.put(path, **body).json()["code"])

    def told(self, path: str, **body: Any) -> Any:
        """Make a management call that succeeds and give its object."""
        answer = self.put(path, **body).json()
        assert answer["code"] == 0, answer
        return answer["object"]

    def register(self, username: str, number: str, kind: str) -> int:
        """Register a token by the registration's own number of its type: 1 SMS, 2 OTP."""
        return self.code("token/registerActiveToken", username=username, tokenSn=number, tokenType=kind)


def signed(key: str, text: str) -> str:
    """HMAC-SHA256 in lower-case hex."""
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


@contextmanager
def centagate_twin(**options: Any) -> Iterator[CentagateTwin]:
    """Run a twin on a free port; the options are those of `services.sandbox.centagate.twin.Twin`."""
    twin = Twin(**options)
    with running(build(twin)) as address, closing(CentagateTwin(address.url, twin)) as seen:
        yield seen
