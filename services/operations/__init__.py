"""One file per verb: look, compare, act, look again."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from services.operations.check_clones import CheckClones
from services.operations.contract import Operation, Tools
from services.operations.delete_certificate import DeleteCertificate
from services.operations.reconfigure_tap import ReconfigureTap
from services.operations.register_token import RegisterToken
from services.operations.renew_certificate import RenewCertificate
from services.operations.replace_certificate import ReplaceCertificate
from services.operations.revoke_certificate import RevokeCertificate
from services.operations.roll_root_ca import RollRootCa
from services.operations.rotate_e2e_key import RotateE2EKey
from services.operations.rotate_mobile_key import RotateMobileKey
from services.operations.set_provisioning import SetProvisioning
from services.operations.set_whitelist import SetWhitelist
from services.operations.tag import Tag
from services.operations.transfer_root_ca import TransferRootCa

_ALL: Final[tuple[Operation, ...]] = (
    RotateE2EKey(),
    RenewCertificate(),
    ReplaceCertificate(),
    RevokeCertificate(),
    DeleteCertificate(),
    TransferRootCa(),
    SetProvisioning(),
    SetWhitelist(),
    Tag(),
    CheckClones(),
    ReconfigureTap(),
    RotateMobileKey(),
    RegisterToken(),
    RollRootCa(),
)

OPERATIONS: Final[Mapping[str, Operation]] = {operation.name: operation for operation in _ALL}
"""Every verb that a playbook or a person may ask for."""

PARAMETERS: Final[Mapping[str, type[BaseModel]]] = {name: verb.parameters for name, verb in OPERATIONS.items()}
"""What each verb takes."""

__all__ = ["OPERATIONS", "PARAMETERS", "Operation", "Tools"]
