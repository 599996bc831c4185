"""Requests about the session and the service itself."""

from typing import ClassVar

from pydantic import Field, SecretStr

from schemas.ublox.requests.base import UbloxRequest


class Authenticate(UbloxRequest):
    """An APIKey and its secret for an AuthToken and a RefreshToken."""

    path: ClassVar[str] = "/authenticate"

    api_key: SecretStr = Field(alias="APIKey", min_length=1)
    api_secret: SecretStr = Field(alias="APISecret", min_length=1)


class RefreshAuthToken(UbloxRequest):
    """A RefreshToken, not more than 3 days old, for a new AuthToken.

    The document wants the old AuthToken with it, although it is there to replace one that ends.
    """

    path: ClassVar[str] = "/refreshauthtoken"

    api_key: SecretStr = Field(alias="APIKey", min_length=1)
    refresh_token: SecretStr = Field(alias="RefreshToken", min_length=1)


class ApiVersion(UbloxRequest):
    """The version of the API; its sample says 1.1.1 in the document of 1.1.29, which shows no body for it."""

    path: ClassVar[str] = "/apiversion"
