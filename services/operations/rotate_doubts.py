"""What speaks against going on with the key that the book names, and against making one."""

from schemas.mobile_keys import HeldKey
from schemas.twon import KeyType
from services.operations.rotate_lists import named, told
from services.operations.rotate_parameters import RotateMobileKeyParameters
from services.operations.rotate_picture import Picture


def useless(first: HeldKey, picture: Picture, given: RotateMobileKeyParameters, *, job_id: int) -> bool:
    """Whether a key waits that cannot or should not become the primary one, and no device has it.

    One of the job itself stays, as a job makes no second.
    """
    unfit = first.public in picture.closed or _is_of_another_type(first, given)
    return unfit and first.waits and first.job_id != job_id and picture.nowhere(first.public)


def against(first: HeldKey, picture: Picture, given: RotateMobileKeyParameters) -> str:
    """Say why the key that is to be the primary one is not gone on with, if so."""
    name = f"the key {told(first.public)} of {first.created_at:%d %b %Y}"
    if first.public in picture.closed:
        return f"{name} is to be the primary one, and the vault does not open its private half: ask for a new job"
    if first.waits and _is_of_another_type(first, given):
        return f"{name}, of type {first.kind}, is to become the primary one before another is made: rotate first"
    if picture.whole and first.primary_since is not None and picture.nowhere(first.public):
        return (
            f"{name} was the primary one since {first.primary_since:%d %b %Y}, and no device has it: somebody has"
            " replaced it. A rotation without at_most_every_days makes a new key"
        )
    return ""


def against_making(picture: Picture, given: RotateMobileKeyParameters) -> str:
    """Say why no key can be made, if so."""
    if not picture.whole:
        return f"the other devices of {picture.location} agree on no primary key: rotate the location"
    if KeyType(given.type) is not KeyType.ECC:
        return ""
    without = [serial for serial, seen in picture.seen.items() if not any(key.kind is KeyType.ECC for key in seen.keys)]
    return f"{named(without)} show no ECC key: make one of type rsa" if without else ""


def _is_of_another_type(first: HeldKey, given: RotateMobileKeyParameters) -> bool:
    return "type" in given.model_fields_set and first.kind is not KeyType(given.type)
