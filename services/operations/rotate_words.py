"""What a rotation says of itself to a person."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from schemas.mobile_keys import HeldKey
from services.operations.rotate_lists import named, told
from services.operations.rotate_picture import Picture, published
from services.operations.rotate_progress import Place


def stand(picture: Picture) -> str:
    """Say how far the key has come."""
    places, count = picture.progress.devices, len(picture.devices)
    if not picture.progress.key:
        return f"no device of {picture.location} was changed"
    if done := sum(place is Place.PRIMARY for place in places.values()):
        return f"the key is primary on {done} of {count} devices of {picture.location}"
    return f"the key is on {len(places)} of {count} devices of {picture.location}"


def waiting(picture: Picture, look_at: datetime) -> str:
    """Say for whom is waited, and until when."""
    until = f"next look {look_at:%d %b %H:%M:%S} UTC"
    if not picture.silent:
        return f"{stand(picture)}; {until}{warning(picture)}"
    since = min(picture.progress.silent.values(), default=look_at)
    example = picture.silent[min(picture.silent)]
    who = f"waiting since {since:%d %b %H:%M} UTC for {named(picture.silent)} ({example})"
    return f"{stand(picture)}; {who}; {until}{warning(picture)}"


def refusals(picture: Picture) -> str:
    """Say every device that refuses, with its reason; those of the same reason together."""
    groups: dict[str, list[str]] = defaultdict(list)
    for serial, reason in picture.refused.items():
        groups[reason].append(serial)
    told_apart = [f"{named(serials, len(serials))}: {reason}" for reason, serials in groups.items()]
    silent = [f"no answer from {named(picture.silent)}"] if picture.silent else []
    return "; ".join([*told_apart, stand(picture), *silent])


def finished(picture: Picture, first: HeldKey, dropped: Sequence[HeldKey]) -> str:
    """Say what was seen at the end."""
    kind = "new primary" if first.primary_since is None else f"primary of {first.primary_since:%d %b %Y}"
    count = len(picture.devices)
    gone = f"; dropped {', '.join(told(key.public) for key in dropped)}" if dropped else ""
    return f"{kind} on {count} of {count} devices of {picture.location}, looked again{gone}{warning(picture)}"


def warning(picture: Picture) -> str:
    """Say which devices have a key whose private half everybody can read."""
    serials = [serial for serial, keys in picture.lists.items() if any(map(published, keys))]
    if not serials:
        return ""
    return f"; {named(serials)}: a sample key of the manual, which lets anybody in; it goes when phones have moved"


def no_room(location: str, reasons: Sequence[str]) -> str:
    """Say why no key can be added, and what a person can do."""
    return (
        f"the devices of {location} have no room for another key: {'; '.join(reasons)}. Wait, let those phones visit a"
        " device, or say drop_oldest = true, which locks out the phones that have the oldest"
    )
