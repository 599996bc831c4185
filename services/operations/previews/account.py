"""The u-blox account for a rehearsal: read for real, and written in memory only.

A verb runs on this line by line as in a job, so what is told of it cannot differ from what the job does, unless the
world differs by then. Only the calls that stand here are known: one that writes and was forgotten fails, and is not
sent. What was read once, or would be written, is told from memory when the verb looks again.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from typing import Final, TypeVar, cast

from schemas.diffs import Change
from schemas.ublox import (
    AuthorityLook,
    Detail,
    DeviceLook,
    ProfileLook,
    Provisioning,
    Selector,
    Suspect,
    WhitelistAction,
    WhitelistLook,
)
from services.clients.ublox import Ublox
from services.operations.certificate_facts import told
from services.operations.previews.sketches import UNSHOWN

R = TypeVar("R")

_NONE: Final = "none"


class StagedUblox:
    """The groups of the client that rehearsed verbs use.

    Args:
        ublox: is asked whatever is read.
        go_on: is called before each reading; raises when there is no more time.
        clock: the time.

    Attributes:
        changes: what each device would get; under a root CA's name what the CA would, under a revoked certificate's
            name what that would.
    """

    def __init__(self, ublox: Ublox, *, go_on: Callable[[], None], clock: Callable[[], datetime]) -> None:
        self.real = ublox
        self.go_on = go_on
        self.clock = clock
        self.changes: dict[str, list[Change]] = defaultdict(list)
        self.looks: dict[str, DeviceLook] = {}
        self.bearers: dict[str, set[str]] = {}
        self.information = _Information(self)
        self.certificates = _Certificates(self)
        self.authorities = _Authorities(self)
        self.provisioning = _Provisioning(self)
        self.devices = _Devices(self)
        self.profiles = _Profiles(self)
        self.tags = _Tags(self)

    def as_client(self) -> Ublox:
        """The same, for tools."""
        return cast("Ublox", self)

    def asked(self) -> Ublox:
        """The client for one reading."""
        self.go_on()
        return self.real

    def paced(self, walk: Iterator[R]) -> Iterator[R]:
        """What is read page by page, as long as there is time."""
        for item in walk:
            self.go_on()
            yield item

    def change(self, name: str, what: str, now: str, then: str) -> None:
        """Note what would be written."""
        self.changes[name].append(Change(what=what, now=now, then=then))


class _Group:
    def __init__(self, stage: StagedUblox) -> None:
        self._stage = stage


class _Information(_Group):
    def look(self, uids: Collection[str], options: Collection[Detail]) -> dict[str, DeviceLook]:
        seen = self._stage.asked().information.look(uids, options)
        self._stage.looks |= seen
        return seen

    def clones(self, uids: Collection[str], since: datetime) -> list[Suspect]:
        return self._stage.asked().information.clones(uids, since)

    def suspects(self, uids: Collection[str]) -> list[Suspect]:
        return self._stage.asked().information.suspects(uids)

    def uids_of(self, *, tags: Collection[str]) -> Iterator[str]:
        (tag,) = tags
        if tag not in self._stage.bearers:
            self._stage.bearers[tag] = set(self._stage.asked().information.uids_of(tags=[tag]))
        return iter(set(self._stage.bearers[tag]))


class _Certificates(_Group):
    def update(self, uids: Collection[str], ca_name: str) -> None:
        self._all(uids, f"certificate of {ca_name}", "a new key pair, with a new serial")

    def delete(self, uids: Collection[str]) -> None:
        self._all(uids, "certificate and key pair", _NONE)

    def transfer(self, uids: Collection[str], from_ca: str, to_ca: str) -> None:
        self._all(uids, f"certificate of {from_ca}", f"a new serial, of {to_ca}")

    def revoke(self, ca_name: str, *, serial: str) -> None:
        name = revoked(ca_name, serial)
        self._stage.change(name, f"certificate of {ca_name}", f"serial {serial}, not known as revoked", "revoked")

    def _all(self, uids: Collection[str], what: str, then: str) -> None:
        for uid in uids:
            certificate = self._stage.looks[uid].certificate
            self._stage.change(uid, what, _NONE if certificate is None else told(certificate), then)


def revoked(ca_name: str, serial: str) -> str:
    """The name of a certificate in `StagedUblox.changes`."""
    return f"{ca_name}/{serial}"


class _Authorities(_Group):
    def __init__(self, stage: StagedUblox) -> None:
        super().__init__(stage)
        self._there: list[AuthorityLook] | None = None
        self._made: list[AuthorityLook] = []
        self._lists: dict[tuple[str, ...], dict[str, bytes]] = {}

    def walk(self, name: str | None = None) -> Iterator[AuthorityLook]:
        if name is not None:
            return self._stage.paced(self._stage.asked().authorities.walk(name))
        if self._there is None:
            self._there = list(self._stage.asked().authorities.walk())
        return iter([*self._there, *self._made])

    def devices(self, name: str) -> Iterator[str]:
        return self._stage.paced(self._stage.asked().authorities.devices(name))

    def crls(self, names: Collection[str]) -> dict[str, bytes]:
        sought = tuple(names)
        if sought not in self._lists:
            self._lists[sought] = self._stage.asked().authorities.crls(sought)
        return self._lists[sought]

    def create(
        self, name: str, ca_validity_days: int, device_validity_days: int, renew_before_days: int | None
    ) -> AuthorityLook:
        end = self._stage.clock() + timedelta(days=ca_validity_days)
        made = AuthorityLook(
            name=name,
            pem=None,
            promised_until=end,
            device_validity_days=device_validity_days,
            renew_before_days=renew_before_days,
        )
        self._made.append(made)
        lives = f"for {ca_validity_days} days; its device certificates for {device_validity_days}"
        renews = "" if renew_before_days is None else f", renewed {renew_before_days} days before their end"
        self._stage.change(name, f"root CA {name}", _NONE, f"created, {lives}{renews}")
        return made


class _Provisioning(_Group):
    def set(self, which: Selector, wish: Provisioning) -> None:
        for uid in which.uids or ():
            look = self._stage.looks[uid]
            for name, enabled in wish.authorizations.items():
                self._authorization(look, name.value, enabled=enabled)
            if wish.heartbeat_seconds is not None:
                self._heartbeat(look, timedelta(seconds=wish.heartbeat_seconds))

    def _authorization(self, look: DeviceLook, name: str, *, enabled: bool) -> None:
        """Where u-blox tells authorizations, one that is not named is disabled."""
        tells = bool(look.authorizations or look.desired_authorizations)
        has, shall = look.authorizations.get(name, False), look.desired_authorizations.get(name)
        if tells and has is enabled and shall in {None, enabled}:
            return
        now = _state(enabled=has) if tells else UNSHOWN
        if shall not in {None, has}:
            now += f"; {_state(enabled=bool(shall))} waits for the device"
        self._stage.change(look.uid, name, now, _state(enabled=enabled))

    def _heartbeat(self, look: DeviceLook, wished: timedelta) -> None:
        has, shall = look.heartbeat, look.desired_heartbeat
        if has == wished and shall in {None, wished}:
            return
        now = UNSHOWN if has is None else _seconds(has)
        if shall is not None and shall != has:
            now += f"; {_seconds(shall)} waits for the device"
        self._stage.change(look.uid, "security heartbeat", now, _seconds(wished))


def _seconds(heartbeat: timedelta) -> str:
    return f"{heartbeat.total_seconds():.0f} s"


def _state(*, enabled: bool) -> str:
    return "ENABLED" if enabled else "DISABLED"


class _Devices(_Group):
    def __init__(self, stage: StagedUblox) -> None:
        super().__init__(stage)
        self._listed: set[WhitelistLook] = set()
        self._changed = False

    def walk(self) -> Iterator[str]:
        return self._stage.paced(self._stage.asked().devices.walk())

    def whitelist(self) -> Iterator[WhitelistLook]:
        if self._changed:  # whoever looks again was told of these devices before
            yield from self._listed
            return
        for look in self._stage.paced(self._stage.asked().devices.whitelist()):
            self._listed.add(look)
            yield look

    def change_whitelist(self, uids: Collection[str], action: WhitelistAction, imeis: Collection[str]) -> None:
        self._changed = True
        off, on = "the device is not on it", "the device is on it"
        add = action is WhitelistAction.ADD
        if add:
            self._listed |= {WhitelistLook(uid=uid) for uid in uids}
        else:
            self._listed = {look for look in self._listed if look.uid not in uids and look.imei not in imeis}
        for uid in uids:
            if uid not in self._stage.changes:  # first by its ROTPublicUID, then by its IMEI
                self._stage.change(uid, "whitelist", off if add else on, on if add else off)


class _Profiles(_Group):
    def walk(self) -> Iterator[ProfileLook]:
        return self._stage.paced(self._stage.asked().profiles.walk())


class _Tags(_Group):
    def walk(self) -> Iterator[str]:
        return self._stage.paced(self._stage.asked().tags.walk())

    def create(self, name: str) -> None:
        self._stage.bearers[name] = set()

    def assign(self, tags: Collection[str], *, uids: Collection[str]) -> None:
        for tag in tags:
            self._stage.bearers.setdefault(tag, set()).update(uids)
            for uid in uids:
                self._stage.change(uid, f"tag {tag}", "not borne", "borne")

    def remove(self, tags: Collection[str], *, uids: Collection[str]) -> None:
        for tag in tags:
            self._stage.bearers.setdefault(tag, set()).difference_update(uids)
            for uid in uids:
                self._stage.change(uid, f"tag {tag}", "borne", "not borne")
