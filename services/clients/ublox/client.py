"""u-blox Security Services in our verbs, a group each. Source: Security Services REST APIs 1.1.29.

A write only records a wish, except where its verb says otherwise: the device acts at a later security heartbeat, so
success is what a later look says.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from pydantic import SecretStr

from infra.coordination import Coordination
from schemas.ublox import ApiVersion, read_text
from services.clients.transport import Transport
from services.clients.ublox.authorities import Authorities
from services.clients.ublox.caller import Caller, Dialect
from services.clients.ublox.certificates import Certificates
from services.clients.ublox.devices import Devices
from services.clients.ublox.e2e import EndToEnd
from services.clients.ublox.information import Information
from services.clients.ublox.profiles import Profiles
from services.clients.ublox.provisioning import DeviceProvisioning
from services.clients.ublox.tags import Tags
from services.clients.ublox.webhooks import Webhooks


class Ublox:
    """One account of u-blox Security Services; safe to share between threads.

    Every verb raises one of the upstream errors of `schemas.errors`.

    Args:
        base_url: tells this account's shared session from that of another service; requests go where `transport` goes.
        api_key: an access key of the account.
        api_secret: its secret.
        transport: built for the base URL.
        dialect: how its calls are written.
        coordination: shares the session between processes; without it each process has its own.
        clock: the time now, with its zone.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: SecretStr,
        api_secret: SecretStr,
        transport: Transport,
        dialect: Dialect | None = None,
        coordination: Coordination | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._caller = Caller(
            base_url,
            api_key=api_key,
            api_secret=api_secret,
            transport=transport,
            dialect=dialect or Dialect(),
            coordination=coordination,
            clock=clock,
        )
        self.profiles = Profiles(self._caller)
        self.devices = Devices(self._caller)
        self.provisioning = DeviceProvisioning(self._caller)
        self.e2e = EndToEnd(self._caller)
        self.information = Information(self._caller)
        self.authorities = Authorities(self._caller)
        self.certificates = Certificates(self._caller)
        self.webhooks = Webhooks(self._caller)
        self.tags = Tags(self._caller)

    def version(self) -> str:
        """Ask for the version of the API (``/apiversion``); empty where the answer does not say."""
        return read_text(self._caller.call(self._caller.ask(ApiVersion)).json(), "Version") or ""

    def close(self) -> None:
        """Close every connection."""
        self._caller.close()
