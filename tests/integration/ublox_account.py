"""An account of u-blox on a scripted server, and clients of it as processes of their own would have them."""

import base64
import json
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from datetime import datetime

from pydantic import SecretStr

from infra.coordination import Coordination
from schemas.errors import UpstreamError
from services.clients.transport import Transport
from services.clients.ublox import Dialect, Ublox
from tests.integration.upstreams import Call, Reply, Upstream, scripted

UID = "0002000089282245"
KEY, SECRET = "0d636af8-key", "nqnazbOM-secret"


class Service:
    """u-blox as far as these tests need it: numbered tokens that live an hour, and one reply for everything else."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.good: set[str] = set()
        self.issued = 0
        self.login = Reply()
        self.refresh = Reply()
        self.reply = Reply(body={"DeviceInfo": [{"ROTPublicUID": UID}]})
        self.delay = 0.0

    def __call__(self, call: Call) -> Reply:
        """Answer a call."""
        if call.path in {"/authenticate", "/refreshauthtoken"}:
            time.sleep(self.delay)
            chosen = self.login if call.path == "/authenticate" else self.refresh
            return chosen if chosen != Reply() else self._session(call)
        token = (call.authorization or "").removeprefix("Bearer ")
        return self.reply if token in self.good else Reply(status=401, body={"message": f"Not Authorized. {token}"})

    def _session(self, call: Call) -> Reply:
        self.issued += 1
        now = int(self.clock().timestamp())
        claims = json.dumps({"iat": now, "exp": now + 3600, "number": self.issued}).encode()
        token = f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.signature"
        self.good.add(token)
        extra = {"RefreshToken": f"refresh-{self.issued}"} if call.path == "/authenticate" else {}
        return Reply(body={"AuthToken": token, **extra})


class Account:
    """Makes clients of one account, each with what a process of its own would have."""

    def __init__(self, service: Service, upstream: Upstream, stack: ExitStack) -> None:
        self.service, self.upstream, self._stack = service, upstream, stack

    def client(
        self,
        *,
        redis_url: str | None = None,
        scheme: str = "Bearer",
        secret: str = SECRET,
        by_get: Collection[str] = (),
    ) -> Ublox:
        """Make a client."""
        transport = self._stack.enter_context(closing(Transport(self.upstream.url, clock=self.service.clock)))
        coordination = self._stack.enter_context(closing(Coordination(redis_url))) if redis_url else None
        return Ublox(
            self.upstream.url,
            api_key=SecretStr(KEY),
            api_secret=SecretStr(secret),
            dialect=Dialect(scheme=scheme, by_get=by_get),
            transport=transport,
            coordination=coordination,
            clock=self.service.clock,
        )


@contextmanager
def ublox_account(clock: Callable[[], datetime]) -> Iterator[Account]:
    """Serve an account and close every client of it in the end."""
    service = Service(clock)
    with scripted(service) as upstream, ExitStack() as stack:
        yield Account(service, upstream, stack)


def at_once(clients: list[Ublox]) -> list[str]:
    """Have every client look from a thread of its own at the same moment; gives the errors' texts."""
    start = threading.Barrier(len(clients))

    def look(client: Ublox) -> str:
        start.wait()
        try:
            client.information.look([UID])
        except UpstreamError as error:
            return f"{type(error).__name__} {error.sent} {error}"
        return ""

    with ThreadPoolExecutor(len(clients)) as pool:
        return list(pool.map(look, clients))
