"""An account at u-blox in memory, as far as root CAs go, whose every call may be the last one of a worker."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from schemas.errors import Refused
from schemas.jobs import Job
from schemas.ublox import AuthorityLook, DeviceLook, read_look


class Killed(BaseException):
    """The worker's process is gone in this moment."""


@dataclass
class Fate:
    """Counts what a worker does that others can see, and ends it at one of these moments."""

    dies_at: int | None = None
    moments: list[str] = field(default_factory=list)

    def meet(self, what: str) -> None:
        """One moment more."""
        self.moments.append(what)
        if len(self.moments) - 1 == self.dies_at:
            raise Killed(what)


@dataclass
class Ca:
    """A root CA with a real key."""

    name: str
    days: int
    now: datetime
    device_days: int | None = None
    """How long its device certificates live, where u-blox tells."""

    lead: int | None = None
    """How many days before their end they are renewed by themselves."""

    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @property
    def pem(self) -> str:
        """Its certificate."""
        return self.sign(self.name, self.days, self.key.public_key())

    def sign(self, common_name: str, days: int, key: ec.EllipticCurvePublicKey | None = None) -> str:
        """A certificate of it."""
        of = key or ec.generate_private_key(ec.SECP256R1()).public_key()
        builder = x509.CertificateBuilder(_name(self.name), _name(common_name), of, x509.random_serial_number())
        builder = builder.not_valid_before(self.now).not_valid_after(self.now + timedelta(days=days))
        return builder.sign(self.key, SHA256()).public_bytes(Encoding.PEM).decode()


@dataclass
class Machine:
    """A device."""

    ca: str
    serial: int
    desired: str | None = None
    silent: bool = False
    bare: bool = False
    """Between the two heartbeats of an update: its next certificate is of `ca`, which u-blox does not name."""


class Account:
    """CAs, devices and profiles; `ublox` is the client that a worker has of it."""

    def __init__(self, clock: Callable[[], datetime], fate: Fate | None = None) -> None:
        self.clock = clock
        self.fate = fate or Fate()
        self.cas: dict[str, Ca] = {}
        self.devices: dict[str, Machine] = {}
        self.profiles: dict[str, str] = {}  # its name and its CA
        self.created: list[str] = []
        self.deleted: list[str] = []
        self.billed: list[str] = []
        self.serials = count(0xA0)
        authorities = SimpleNamespace(
            walk=self._met(self._walk),
            create=self._met(self._create),
            proof_of_possession=self._met(lambda name, code: self.cas[name].sign(code, 30)),
            devices=self._met(self._holders),
            delete=self._met(self._delete),
        )
        information = SimpleNamespace(look=self._met(self._look))
        certificates = SimpleNamespace(transfer=self._met(self._transfer))
        profiles = SimpleNamespace(walk=self._met(self._profiles))
        devices = SimpleNamespace(walk=self._met(lambda: list(self.devices)))
        groups = {
            "authorities": authorities,
            "information": information,
            "certificates": certificates,
            "profiles": profiles,
            "devices": devices,
        }
        self.ublox: Any = SimpleNamespace(**groups)

    def found(self, name: str, *, days: int = 3650) -> None:
        """Make a root CA."""
        self.cas[name] = Ca(name, days, self.clock())

    def add(self, ca: str, *uids: str, **more: Any) -> None:
        """Make devices with a certificate of a CA."""
        self.devices |= {uid: Machine(ca, next(self.serials), **more) for uid in uids}

    def beat(self) -> None:
        """Every device that is not silent calls in."""
        for machine in self.devices.values():
            if machine.desired and not machine.silent:
                machine.ca, machine.serial, machine.desired = machine.desired, next(self.serials), None

    def noting(self, note: Callable[[Sequence[tuple[Job, Mapping[str, Any]]]], set[int]]) -> Any:
        """The ledger's note, whose moments are counted too."""
        return self._met(note, "note")

    def _met(self, call: Callable[..., Any], name: str = "") -> Callable[..., Any]:
        what = name or getattr(call, "__name__", "call").strip("_")

        def mortal(*given: Any, **named: Any) -> Any:
            self.fate.meet(f"before {what}")
            answer = call(*given, **named)
            self.fate.meet(f"after {what}")
            return answer

        return mortal

    def _walk(self, name: str | None = None) -> list[AuthorityLook]:
        told = [ca for ca in self.cas.values() if name in {None, ca.name}]
        return [
            AuthorityLook(
                name=ca.name,
                pem=ca.pem,
                promised_until=None,
                device_validity_days=ca.device_days,
                renew_before_days=ca.lead,
            )
            for ca in told
        ]

    def _create(self, name: str, days: int, device_days: int, lead: int | None = None) -> AuthorityLook:
        if name in self.cas:
            raise Refused("CAName already exists", call="/ztp/rootca/create", status=400)
        self.found(name, days=days)
        self.cas[name].device_days, self.cas[name].lead = device_days, lead
        self.created.append(name)
        return self._walk()[-1]

    def _holders(self, name: str) -> Iterator[str]:
        return iter([uid for uid, machine in self.devices.items() if machine.ca == name and not machine.bare])

    def _delete(self, name: str) -> None:
        used = any(name in {machine.ca, machine.desired} for machine in self.devices.values())
        if used or name in self.profiles.values():
            raise Refused("the root CA is in use", call="/ztp/rootca/delete", status=400)
        del self.cas[name]
        self.deleted.append(name)

    def _profiles(self) -> list[SimpleNamespace]:
        return [
            SimpleNamespace(uid=name, name=name, raw={"ProfileName": name, "CAName": ca})
            for name, ca in self.profiles.items()
        ]

    def _transfer(self, uids: Collection[str], from_ca: str, to_ca: str) -> None:
        for uid in uids:
            assert (self.devices[uid].ca, self.devices[uid].desired) == (from_ca, None), "nothing is asked twice"
            self.devices[uid].desired = to_ca
            self.billed.append(uid)

    def _look(self, uids: Collection[str], _options: object = ()) -> dict[str, DeviceLook]:
        return {uid: self._shown(uid, self.devices[uid]) for uid in uids if uid in self.devices}

    def _shown(self, uid: str, machine: Machine) -> DeviceLook:
        action = {"Action": "TRANSFER", "CAName": machine.desired} if machine.desired else {}
        action = {"Action": "UPDATE"} if machine.bare else action
        certificate = {
            "CertificateAuthorityName": machine.ca,
            "CertificateSerialNumber": f"{machine.serial:x}",
            "ExpirationDate": (self.clock() + timedelta(days=200)).isoformat(),
        }
        look = read_look(
            {
                "ROTPublicUID": uid,
                "CORE": {"IsBlacklisted": False, "LastSeen": self.clock().isoformat()},
                "PROVISIONING": {
                    "DesiredProperties": {"Zerotouch": action},
                    "CurrentProperties": {"NetworkParameters": [{"Name": "SecurityHeartbeatInSec", "Value": 3600}]},
                },
                "ZTP": {} if machine.bare else certificate,
            }
        )
        assert look is not None
        return look


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
