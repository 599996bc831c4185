"""The request bodies of the API calls, read strictly; whatever does not fit is invalid input.

Source: the parameter table of each call. The samples send every value as text; a number is taken as its text. Fields
that the document does not name are ignored, as the old clients' ``email`` and ``id`` are.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from services.sandbox.centagate.codes import Code, Refusal


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Text = Annotated[str, Field(min_length=1, max_length=255)]
Seconds = Annotated[str, Field(pattern=r"^[0-9]{1,12}$"), BeforeValidator(_as_text)]
"""A time, since 1970."""

TokenNumber = Annotated[Literal["1", "2", "3", "4"], BeforeValidator(_as_text)]
"""``type`` of the calls about a registered token: 1 mobile (OTP), 2 SMS, 3 challenge-response, 4 PKI."""


class Body(BaseModel):
    """A request body; members have the document's names, which are camel case there."""

    model_config = ConfigDict(alias_generator=to_camel, strict=True, frozen=True)


class Login(Body):
    """``auth/authBasic``; the optional members are empty when they are not sent."""

    username: Text
    password: str
    integration_key: str = ""
    unix_timestamp: Seconds
    support_fido: str = ""
    ip_address: str = ""
    user_agent: str = ""
    browser_fp: str = ""
    hmac: str


class Refresh(Body):
    """``auth/refresh``, as an older vendor demo calls it: without a signature."""

    username: Text
    auth_token: str
    unix_timestamp: Seconds
    ip_address: str = ""
    user_agent: str = ""


class Managed(Body):
    """What every management call carries."""

    cen_token: str


class OfUser(Managed):
    """A call about a user, such as ``user/auth/list`` and ``token/unlockToken``."""

    username: Text


class OfToken(OfUser):
    """A call about one token of a user, such as ``token/getStatus``."""

    type: TokenNumber


class TokenStatusWish(OfToken):
    """``token/update/token/status``."""

    status: Annotated[Literal["1", "2", "3", "4"], BeforeValidator(_as_text)]


class UserStatusWish(OfUser):
    """``user/status/update``: 0 inactive, 1 active."""

    status: Annotated[Literal["0", "1"], BeforeValidator(_as_text)]


class Registration(OfUser):
    """``token/registerActiveToken``; `activate_token` is sent by older clients only."""

    token_sn: Annotated[Text, BeforeValidator(_as_text)]
    token_type: Annotated[Literal["1", "2"], BeforeValidator(_as_text)]
    activate_token: Annotated[str, BeforeValidator(_as_text)] | None = None


class NewUser(OfUser):
    """``user/registerUserActivate``; roles: 2 company admin, 3 user, 4 group admin."""

    first_name: Text
    last_name: Text
    user_app: str
    user_unique_id: str
    user_client_id: str
    roles: Annotated[Literal["2", "3", "4"], BeforeValidator(_as_text)]
    user_group: Text
    user_email: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=255)]


Wish = TypeVar("Wish", bound=Body)


def read(kind: type[Wish], body: Mapping[str, Any]) -> Wish:
    """Read a body.

    Raises:
        Refusal: it does not fit; the document's text for that names no fault.
    """
    try:
        return kind.model_validate(body)
    except ValidationError:
        raise Refusal(Code.INVALID_INPUT) from None
