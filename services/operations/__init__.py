"""One file per verb: look, compare, act, look again."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from services.operations.contract import Operation, Tools
from services.operations.reconfigure_tap import ReconfigureTap
from services.operations.register_token import RegisterToken
from services.operations.renew_certificate import RenewCertificate
from services.operations.rotate_e2e_key import RotateE2EKey
from services.operations.rotate_mobile_key import RotateMobileKey

_ALL: Final[tuple[Operation, ...]] = (
    RotateE2EKey(),
    RenewCertificate(),
    ReconfigureTap(),
    RotateMobileKey(),
    RegisterToken(),
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _ALL}
"""Every verb that a playbook or a person may ask for."""

PARAMETERS: Final[Mapping[str, type[BaseModel]]] = {name: verb.parameters for name, verb in OPERATIONS.items()}
"""What each verb takes."""

__all__ = ["OPERATIONS", "PARAMETERS", "Operation", "Tools"]
