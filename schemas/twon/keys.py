"""The mobile keys of a 2N device: 2N HTTP API manual 2.x, 5.15.1, whose sample is the older of two forms.

The newer one, which tells public halves, is that of the release notes of 2.50.
"""

from enum import StrEnum
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, ConfigDict, Field

from schemas.secret import Secret
from schemas.twon.told import Told, read_whole

MOST_KEYS: Final = 4
"""Mobile keys that a device holds at a time."""

LONGEST_LOCATION: Final = 127
"""Characters of a location."""

KEYS_HIDDEN_FROM: Final = (2, 50)
"""The firmware from which a device tells public halves instead of private keys."""

_LARGEST_CTIME: Final = 2**32 - 1


def _ctime(value: object) -> int | None:
    moment = read_whole(value)
    return moment if moment is not None and moment <= _LARGEST_CTIME else None


class KeyType(StrEnum):
    """The kinds of mobile keys; a device that knows more kinds than we do shows an unknown one."""

    RSA = "rsa"
    ECC = "ecc"
    UNKNOWN = "unknown"

    @classmethod
    def _missing_(cls, value: object) -> Self:  # noqa: ARG003 - the hook's signature
        return cls("unknown")


def _secret(value: object) -> Secret | None:
    if isinstance(value, Secret):
        return value
    return Secret(value) if isinstance(value, str) and value else None


def _public(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


class MobileKey(Told):
    """One mobile key, as a device tells it or as it is to be written.

    Attributes:
        type: RSA where nothing is said.
        key: the private key, Base64 of DER; None where the device hides it.
        public_key: the public half, Base64 of DER in an encoding that no document names; None where `key` is told.
        ctime: Unix time of its making; for display only, since a device may change it or leave it out.
    """

    model_config = ConfigDict(extra="ignore")  # what is unknown here may be a secret

    type: Annotated[KeyType, BeforeValidator(KeyType)] = KeyType.RSA
    key: Annotated[Secret | None, BeforeValidator(_secret)] = None
    public_key: Annotated[str | None, BeforeValidator(_public)] = None
    ctime: Annotated[int | None, BeforeValidator(_ctime)] = None


class Generation(StrEnum):
    """Whether a device tells its private keys; what cannot be read back must not be left out of a write."""

    SHOWN = "shown"
    HIDDEN = "hidden"
    AMBIGUOUS = "ambiguous"


def _slot(value: object) -> object:
    return None if value == {} else value


class MobileKeyConfig(Told):
    """``/api/mobilekey/config`` as read.

    Attributes:
        slots: what stands at each index, None for an empty one; the first is the primary key.
        pairing_key: told from 2.50 on; kept as it came.
    """

    model_config = ConfigDict(extra="ignore")  # as above

    location: str
    slots: tuple[Annotated[MobileKey | None, BeforeValidator(_slot)], ...] = Field(alias="keys")
    pairing_key: Any = Field(default=None, repr=False, exclude=True)

    @property
    def keys(self) -> tuple[MobileKey, ...]:
        """The keys without the empty slots, the primary first."""
        return tuple(key for key in self.slots if key is not None)

    def generation(self, version: tuple[int, ...] = ()) -> Generation:
        """Tell whether the device shows its private keys; a firmware version that says otherwise makes it ambiguous.

        Args:
            version: `SystemInfo.version`; decides alone where there are no keys.
        """
        by_version = {Generation.HIDDEN if version >= KEYS_HIDDEN_FROM else Generation.SHOWN} if version else set()
        by_keys = {_generation(key) for key in self.keys}
        if self.pairing_key is not None:
            by_keys.add(Generation.HIDDEN)
        said = by_version | by_keys
        return said.pop() if len(said) == 1 else Generation.AMBIGUOUS


def _generation(key: MobileKey) -> Generation:
    if (key.key is None) == (key.public_key is None):
        return Generation.AMBIGUOUS
    return Generation.HIDDEN if key.key is None else Generation.SHOWN
