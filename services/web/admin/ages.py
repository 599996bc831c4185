"""Keys and certificates over the API: their ages and ends."""

from typing import Final

from schemas.access import Role
from schemas.ages import KeysAndCertificates
from schemas.errors import ConfigurationError
from services.ages import keys_and_certificates
from services.web.admin.contract import Answer, Call, Route
from services.web.admin.problems import Problem


def show_ages(call: Call) -> Answer:
    """Tell how old keys are and what ends when."""
    means = call.means
    try:
        return Answer(body=keys_and_certificates(means.ledger, means.settings, means.clock()))
    except ConfigurationError as error:
        raise Problem(409, f"the vault's key ring has faults: {error}") from None


ROUTES: Final = (
    Route(
        method="GET",
        path="/keys-and-certificates",
        role=Role.VIEWER,
        handler=show_ages,
        summary="Show the ages of mobile and vault keys, and the ends of certificates and webhook tokens",
        response=KeysAndCertificates,
        problems={409: "The vault's key ring has faults."},
        tag="keys and certificates",
    ),
)
