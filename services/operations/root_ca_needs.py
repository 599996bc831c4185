"""Who still needs a root CA: by the list that u-blox keeps of it, and by a look at every device and profile."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from schemas.errors import Busy, Refused
from schemas.ublox import BATCH, Detail, DeviceLook
from schemas.ublox.reading import values_of
from services.operations.bulk import in_halves
from services.operations.contract import Tools

_DETAILS: Final = (Detail.CORE, Detail.PROVISIONING, Detail.ZTP)


@dataclass(frozen=True, kw_only=True, slots=True)
class Survey:
    """What every device and profile of the account says of a root CA and its successor.

    Attributes:
        needing: devices that have a certificate of the old one, or shall get one.
        unseen: devices of which u-blox tells nothing.
        halfway: devices without a certificate for which a certificate action waits: the next one may be the old one's.
        looked: how many devices there are at all.
        profiles: names of device profiles that refer to the old one.
        moved: how many devices have a certificate of the new one.
        elsewhere: how many have one of yet another.
    """

    needing: tuple[str, ...]
    unseen: tuple[str, ...]
    halfway: tuple[str, ...]
    looked: int
    profiles: tuple[str, ...]
    moved: int
    elsewhere: int


def holders(old: str, tools: Tools, doubted: Callable[[str], bool]) -> list[str]:
    """The devices that the CA's own list names, without those that by now show another CA's certificate.

    Args:
        old: the CA.
        tools: the operation's.
        doubted: of whom the list may be out of date: only these are looked at.
    """
    listed = list(dict.fromkeys(tools.ublox.authorities.devices(old)))
    looks = dict(_looks(filter(doubted, listed), tools))
    return [uid for uid in listed if (look := looks.get(uid)) is None or needs(look, old)]


def survey(old: str, new: str, tools: Tools, *, known: Iterable[str] = ()) -> Survey:
    """Look at everything that may refer to a root CA.

    Args:
        old: its name.
        new: the name of its successor.
        tools: the operation's.
        known: devices that are looked at even where the account's list, which may come short, does not name them.
    """
    seen = dict(_looks(dict.fromkeys(tools.ublox.devices.walk()), tools))
    looked = len(seen)
    unseen = tuple(uid for uid, look in seen.items() if look is None)
    seen |= dict(_looks([uid for uid in dict.fromkeys(known) if uid not in seen], tools))
    shown = {uid: look for uid, look in seen.items() if look is not None}
    names = [look.certificate.ca_name for look in shown.values() if look.certificate is not None]
    return Survey(
        needing=tuple(uid for uid, look in shown.items() if needs(look, old)),
        unseen=unseen,
        halfway=tuple(uid for uid, look in shown.items() if look.certificate is None and look.renewal_pending),
        looked=looked,
        profiles=profiles_of(old, tools),
        moved=sum(name == new for name in names),
        elsewhere=sum(name not in {old, new} for name in names),
    )


def profiles_of(old: str, tools: Tools) -> tuple[str, ...]:
    """The names of device profiles that refer to a root CA."""
    found = (look for look in tools.ublox.profiles.walk() if mentions(look.raw, old))
    return tuple(look.name or look.uid for look in found)


def needs(look: DeviceLook, name: str) -> bool:
    """Whether a device has a certificate of a root CA, or shall get one."""
    has = look.certificate is not None and look.certificate.ca_name == name
    return has or any(mentions(desired, name) for desired in values_of(look.raw, "DesiredProperties"))


def mentions(document: Any, name: str) -> bool:
    """Whether a name stands anywhere in a document: what holds a CA is folded away in the API's own description."""
    if isinstance(document, dict):
        return any(mentions(value, name) for value in document.values())
    if isinstance(document, list):
        return any(mentions(value, name) for value in document)
    return bool(document == name)


def _looks(uids: Iterable[str], tools: Tools) -> Iterator[tuple[str, DeviceLook | None]]:
    """Look at devices, a hundred a call; None for those of which u-blox tells nothing.

    Raises:
        UpstreamError: it fails in a way that is not about a device.
    """
    for part in _parts(uids):
        seen = in_halves(part, lambda some: tools.ublox.information.look(some, _DETAILS))
        for uid in part:
            error = seen.errors.get(uid)
            if error is not None and not isinstance(error, Refused | Busy):
                raise error
            yield uid, None if error else seen.answers[uid].get(uid)


def _parts(uids: Iterable[str]) -> Iterator[Sequence[str]]:
    left = iter(uids)
    while part := list(islice(left, BATCH)):
        yield part
