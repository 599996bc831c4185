"""A user's token of CENTAGATE in the inventory.

Source: CENTAGATE, ``token/registerActiveToken``: type 1 is SMS and its number is a phone's, type 2 is OTP and its
number is the serial number of the token.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from schemas.fleet.tables import Table, refuse
from schemas.references import SecretReference
from schemas.tap import CrossFault

NUMBERS: Final = {"sms": "phone", "otp": "serial"}
"""The key that a type of token has its number in."""


def _username(value: str) -> str:
    if not value.isprintable() or " " in value or "/" in value:
        raise ValueError("expected printable characters without blanks and slashes")
    return value


class CentagateToken(Table):
    """One token of one user."""

    username: Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_username)] = Field(
        description="the user's name in CENTAGATE"
    )
    type: Literal["sms", "otp"] = Field(description='"sms" or "otp"')
    phone: SecretReference | None = Field(default=None, description="where the phone number of an sms token stands")
    serial: SecretReference | None = Field(default=None, description="where the serial number of an otp token stands")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse(token_faults(dict(self)))
        return self

    @property
    def key(self) -> str:
        """What names it in the inventory, and as the target of a job: such as ``alice/sms``."""
        return f"{self.username}/{self.type}"

    @property
    def number(self) -> SecretReference:
        """Where the number stands that CENTAGATE is to know: of the phone, or of the OTP token."""
        number: SecretReference = getattr(self, NUMBERS[self.type])
        return number


def token_faults(token: Mapping[str, Any]) -> Iterator[CrossFault]:
    """What is wrong between the keys of a token, which need not be right in anything else."""
    kind = token.get("type")
    own = NUMBERS.get(kind) if isinstance(kind, str) else None
    if own is None:
        return
    for other in set(NUMBERS.values()) - {own}:
        if token.get(other) is not None:
            yield (other,), f"has no meaning for a token of type {kind}; expected {own}"
    if token.get(own) is None:
        yield (own,), f"is missing; a token of type {kind} has one"
