"""A u-blox in memory that knows the whole life of a certificate: real keys, real revocation lists, two heartbeats."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

from schemas.errors import Refused
from schemas.ublox import (
    CertificateLook,
    Detail,
    DeviceLook,
    Provisioning,
    Selector,
    Suspect,
    WhitelistAction,
    read_whitelisted,
)
from tests.conftest import Clock
from tests.support.crl import CA, EXPIRY, LONG_AGO, OTHER_CA, pem, revocation_list

_IMEIS = count(356726108512030)


@dataclass(slots=True)
class Phone:
    """What the service knows of a device; `owner` names its key pair."""

    serial: int | None = 0xA0
    imei: str | None = field(default_factory=lambda: f"{next(_IMEIS):015}")
    owner: str = "first key"
    ca_name: str | None = CA
    issued_at: datetime = LONG_AGO
    action: str | None = None
    next_ca: str = CA
    blacklisted: bool = False
    enabled: dict[str, bool] = field(default_factory=dict)
    wished: dict[str, bool] = field(default_factory=dict)
    heartbeat: timedelta | None = None
    wished_heartbeat: timedelta | None = None
    asked: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class _Trouble:
    error: Exception
    acts: bool
    after: int


class Cloud:
    """The service.

    Attributes:
        hides: what it does not show: ``pending``, ``action`` (which one), ``certificate``, ``ca_name``, ``pem``,
            ``properties``.
        refuses: devices that no call may name, and why.
        calls: how often each verb was asked.
        revoked: serial numbers by CA, as its list will show them.
        publishes: whether a revocation shows at once.
        lists: what is given instead of a CA's list.
        bearers: the devices that bear each tag.
    """

    def __init__(self, clock: Clock, **phones: Phone) -> None:
        self.clock = clock
        self.phones = phones
        self.hides: set[str] = set()
        self.refuses: dict[str, Exception] = {}
        self.calls: Counter[str] = Counter()
        self.revoked: dict[str, set[int]] = {CA: set(), OTHER_CA: set()}
        self.publishes = True
        self.lists: dict[str, bytes] = {}
        self.whitelist: set[str] = set()
        self.bearers: dict[str, set[str]] = {}
        self.clones: list[Suspect] = []
        self.suspects: list[Suspect] = []
        self.ignores = False
        self._troubles: dict[str, list[_Trouble]] = defaultdict(list)
        self._serials = count(0xB1)
        self.information = SimpleNamespace(
            look=self._look,
            clones=lambda uids, _since: self._told("clones", uids, self.clones),
            suspects=lambda uids: self._told("suspects", uids, self.suspects),
            uids_of=self._bearing,
        )
        self.certificates = SimpleNamespace(
            update=self._update, delete=self._delete, transfer=self._transfer, revoke=self._revoke
        )
        self.authorities = SimpleNamespace(crls=self._crls, walk=self._walk)
        self.devices = SimpleNamespace(whitelist=self._whitelist, change_whitelist=self._change_whitelist)
        self.provisioning = SimpleNamespace(set=self._provision)
        self.tags = SimpleNamespace(
            walk=lambda: iter(self.bearers), create=self._create, assign=self._assign, remove=self._remove
        )

    def fail(self, verb: str, error: Exception, *, acts: bool = False, after: int = 0) -> None:
        """Fail once, `after` calls of that verb have gone well; with or without having done what was asked."""
        self._troubles[verb].append(_Trouble(error, acts, after))

    def heartbeat(self, uid: str) -> None:
        """The device wakes up and does what waits for it."""
        phone = self.phones[uid]
        phone.enabled |= phone.wished
        phone.heartbeat = phone.wished_heartbeat or phone.heartbeat
        match phone.action:
            case "UPDATE" if phone.serial is not None:
                phone.serial = None
                return
            case "UPDATE":
                self._install(phone, f"key {next(self._serials)}")
            case "DELETE":
                phone.serial = None
            case "RENEW" | "TRANSFER":
                self._install(phone, phone.owner)
        phone.action = None

    def renew(self, uid: str) -> None:
        """Somebody else renews the certificate, at once."""
        self._install(self.phones[uid], self.phones[uid].owner)

    def _install(self, phone: Phone, owner: str) -> None:
        phone.serial, phone.owner = next(self._serials), owner
        phone.ca_name, phone.issued_at = phone.next_ca, self.clock()

    def _look(self, uids: Collection[str], options: Collection[Detail]) -> dict[str, DeviceLook]:
        self._met("look", lambda: None)
        if set(options) == {Detail.CORE}:
            self._check(uids)
            return {uid: DeviceLook(uid=uid, imei=self.phones[uid].imei) for uid in uids if uid in self.phones}
        assert len(options) == len(Detail)
        return {uid: self._seen(uid, self.phones[uid]) for uid in uids if uid in self.phones}

    def _seen(self, uid: str, phone: Phone) -> DeviceLook:
        hidden, shown = self.hides, None
        if phone.serial is not None and "certificate" not in hidden:
            shown = CertificateLook(
                serial=phone.serial,
                ca_name=None if "ca_name" in hidden else phone.ca_name,
                expires_at=EXPIRY,
                pem=None if "pem" in hidden else pem(phone.ca_name or CA, phone.owner, phone.serial, phone.issued_at),
            )
        properties = "properties" not in hidden
        return DeviceLook(
            uid=uid,
            imei=phone.imei,
            blacklisted=phone.blacklisted,
            certificate=shown,
            renewal_pending=None if "pending" in hidden else phone.action is not None,
            desired_action=None if hidden & {"pending", "action"} else phone.action,
            heartbeat=phone.heartbeat if properties else None,
            desired_heartbeat=phone.wished_heartbeat or phone.heartbeat if properties else None,
            authorizations=dict(phone.enabled) if properties else {},
            desired_authorizations={**phone.enabled, **phone.wished} if properties else {},
        )

    def _update(self, uids: Collection[str], ca_name: str) -> None:
        self._wish("update", "UPDATE", uids, lambda phone: phone.ca_name in {ca_name, None})

    def _delete(self, uids: Collection[str]) -> None:
        self._wish("delete", "DELETE", uids, lambda _: True)

    def _transfer(self, uids: Collection[str], from_ca: str, to_ca: str) -> None:
        def right(phone: Phone) -> bool:
            phone.next_ca = to_ca
            return phone.ca_name == from_ca

        self._wish("transfer", "TRANSFER", uids, right)

    def _wish(self, verb: str, action: str, uids: Collection[str], right: Callable[[Phone], bool]) -> None:
        def act() -> None:
            for uid in uids:
                phone = self.phones[uid]
                assert right(phone)
                phone.action, phone.asked[verb] = action, phone.asked[verb] + 1

        self._check(uids)
        self._met(verb, act)

    def _revoke(self, ca_name: str, *, uid: str | None = None, serial: str | None = None) -> None:
        assert uid is None
        assert serial is not None
        self._met("revoke", lambda: self.revoked[ca_name].add(int(serial, 16)))

    def _crls(self, names: Collection[str] = ()) -> dict[str, bytes]:
        self._met("crls", lambda: None)
        if unknown := set(names) - set(self.revoked):
            raise Refused(f"Bad Request. Invalid CANames {unknown}", call="/ztp/rootca/crl/get", status=400)
        return {name: self._listed(name) for name in names}

    def _listed(self, name: str) -> bytes:
        if name in self.lists:
            return self.lists[name]
        return revocation_list(name, self.revoked[name] if self.publishes else (), self.clock())

    def _walk(self, _name: str | None = None) -> Iterator[Any]:
        self._met("authorities", lambda: None)
        return iter([SimpleNamespace(name=name, pem=pem(name, name, 1)) for name in self.revoked])

    def _whitelist(self) -> Iterator[Any]:
        self._met("whitelist", lambda: None)
        return map(read_whitelisted, [{"Id": id_} for id_ in sorted(self.whitelist)])

    def _change_whitelist(self, uids: Collection[str], action: WhitelistAction, imeis: Collection[str]) -> None:
        def act() -> None:
            change = self.whitelist.update if action is WhitelistAction.ADD else self.whitelist.difference_update
            if not self.ignores:
                change([*uids, *imeis])

        self._check(uids, known=False)  # a device may be listed before it ever calls in
        self._met("change_whitelist", act)

    def _provision(self, selector: Selector, provisioning: Provisioning) -> None:
        def act() -> None:
            for uid in selector.uids or ():
                phone = self.phones[uid]
                phone.wished |= {name.value: state for name, state in provisioning.authorizations.items()}
                if provisioning.heartbeat_seconds is not None:
                    phone.wished_heartbeat = timedelta(seconds=provisioning.heartbeat_seconds)
                phone.asked["provisioning"] += 1

        self._check(selector.uids or ())
        self._met("provisioning", act)

    def _told(self, verb: str, uids: Collection[str], known: Collection[Suspect]) -> list[Suspect]:
        self._check(uids)
        self._met(verb, lambda: None)
        return [suspect for suspect in known if suspect.uid in uids]

    def _bearing(self, *, tags: Collection[str]) -> Iterator[str]:
        self._met("uids_of", lambda: None)
        bearers = [self.bearers.get(tag, set()) for tag in tags]
        if not all(bearers):
            raise Refused("Bad Request. Invalid TagNames", call="/device/rotpublicuid/get", status=400)
        return iter(sorted(set[str]().union(*bearers)))

    def _create(self, name: str) -> None:
        self._met("create", lambda: None)
        if name in self.bearers:
            raise Refused("Bad Request. It exists", call="/tag/create", status=400)
        self.bearers[name] = set()

    def _assign(self, tags: Collection[str], *, uids: Collection[str]) -> None:
        self._check(uids)

        def act() -> None:
            for tag in tags if not self.ignores else ():
                self.bearers[tag].update(uids)

        self._met("assign", act)

    def _remove(self, tags: Collection[str], *, uids: Collection[str]) -> None:
        self._check(uids)

        def act() -> None:
            for tag in tags:
                self.bearers[tag].difference_update(uids)

        self._met("remove", act)

    def _check(self, uids: Collection[str], *, known: bool = True) -> None:
        for uid in uids:
            if uid in self.refuses:
                raise self.refuses[uid]
            if known and uid not in self.phones:
                raise Refused("Bad Request. Invalid ROTPublicUIDs", call="/x", status=400)

    def _met(self, verb: str, act: Callable[[], object]) -> None:
        self.calls[verb] += 1
        for trouble in list(self._troubles[verb]):
            trouble.after -= 1
            if trouble.after < 0:
                self._troubles[verb].remove(trouble)
                if trouble.acts:
                    act()
                raise trouble.error
        act()
