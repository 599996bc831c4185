"""The way to every Tap of the inventory: addresses, credentials, clients, and what their wanted configurations say."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from urllib.parse import urlsplit

from pydantic import SecretStr

from schemas.errors import ConfigurationError, InputError
from schemas.fleet import SCHEMES, Fleet, FleetTap
from schemas.references import SecretReference
from services.clients.guard import Guard
from services.clients.tap import Request, Response
from services.clients.tap.attempts import WrongCredentials
from services.clients.tap.client import TapClient
from services.clients.tap.tcp import TcpAddress
from services.clients.tap.terms import Memory, Terms
from services.clients.tap.wire import Address, Bounds
from services.fleet.loader import load_configuration
from services.operations.tap_access import TapOrder


class FleetTaps:
    """Opens lines to the Taps of the inventory; all threads of a process share it.

    Args:
        fleet: gives the inventory as it is now.
        reveal: fetches the secret of a reference.
        bounds: how long to wait for a Tap.
        address_of: where a Tap is reached; the address of the inventory when left out.
        guard: what every line passes.
    """

    def __init__(
        self,
        fleet: Callable[[], Fleet],
        reveal: Callable[[SecretReference], SecretStr],
        *,
        bounds: Bounds | None = None,
        address_of: Callable[[FleetTap], Address] | None = None,
        guard: Guard | None = None,
    ) -> None:
        self._fleet = fleet
        self._reveal = reveal
        self._bounds = bounds or Bounds()
        self._address_of = address_of or self._address
        self._memory = Memory()
        self._guard = guard

    def find(self, name: str) -> FleetTap:
        """Give a Tap by its serial number or its address.

        Raises:
            InputError: the inventory has none like that, or several at the address.
        """
        taps = self._fleet().taps
        found = [taps[name]] if name in taps else [tap for tap in taps.values() if tap.address == name]
        if len(found) > 1:
            raise InputError([f"the inventory has {len(found)} Taps at {name}: name one by its serial number"])
        if not found:
            raise InputError([f"the inventory has no Tap {name}"])
        return found[0]

    def order(self, serial: str) -> TapOrder:
        """Give what is wished of a Tap, as it is written down now.

        Raises:
            InputError: the inventory does not know it, or its configuration has faults.
        """
        tap = self.find(serial)
        wanted = load_configuration(tap.configuration)
        return TapOrder(serial=tap.serial, user=tap.user, password=tap.password, wanted=wanted)

    @contextmanager
    def open(self, serial: str) -> Iterator["ClientSession"]:
        """Open a line; leaving it logs out.

        Raises:
            TryAgain: the Tap cannot be reached now.
            NotYet: the guard holds the line back.
        """
        tap = self.find(serial)
        terms = Terms(clear=tap.in_clear, bounds=self._bounds)
        passing = self._guard.call("connect", tap.serial) if self._guard else nullcontext()
        with passing, TapClient(self._address_of(tap), terms=terms, memory=self._memory) as client:
            yield ClientSession(client)

    def reveal(self, reference: SecretReference) -> SecretStr:
        """Fetch a secret.

        Raises:
            InputError: it is not where the reference says, or the vault that it is in cannot be opened.
        """
        try:
            return self._reveal(reference)
        except ConfigurationError as error:
            raise InputError([str(error)]) from None

    def forgive(self, serial: str, user: str) -> None:
        """Forget which passwords of a user were refused: the user has a new one."""
        self._memory.attempts.forget(serial, user)

    def _address(self, tap: FleetTap) -> Address:
        parts = urlsplit(tap.address)
        host, port = parts.hostname or "", parts.port or SCHEMES[tap.scheme]
        relay = tap.relay
        if relay is None:
            return TcpAddress(host, port)
        from services.clients.tap.mqtt import RelayAddress  # noqa: PLC0415 - only who has a relay pays for its client

        return RelayAddress(
            host=host,
            port=port,
            serial=tap.serial,
            net_key=self.reveal(relay.net_key),
            user=relay.user,
            password=None if relay.password is None else self.reveal(relay.password),
            tls=tap.scheme == "mqtts",
            ca_file=relay.ca_file,
        )


class ClientSession:
    """A client as the operation sees it: a refused password is an answer, not an error."""

    def __init__(self, client: TapClient) -> None:
        self._client = client

    @property
    def serial(self) -> str:
        """The serial number that the Tap has told when the line was opened."""
        return self._client.serial

    def exchange(self, request: Request) -> Response:
        """Carry one request over, whatever the status of its response."""
        return self._client.exchange(request)

    def log_in(self, user: str, password: SecretStr) -> bool:
        """Log in and encrypt from now on; False where the Tap refuses this password, now or a short while ago."""
        try:
            self._client.login(user, password)
        except WrongCredentials:
            return False
        return True
