"""What each verb would change, without changing it: look and compare, and nothing else."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from schemas.diffs import Diff
from schemas.jobs import Job
from services.operations.contract import Tools
from services.operations.previews import certificate, mobile_key, root_ca, rotation_policy, tap, token
from services.operations.previews.account_verbs import VERBS

Preview = Callable[[Sequence[Job], Tools], Mapping[int, Diff]]
"""Looks at jobs with the same parameters that nobody has stored; sends nothing that writes, notes nothing."""

PREVIEWS: Final[Mapping[str, Preview]] = {
    "ublox.rotate_e2e_key": rotation_policy.preview,
    "ublox.renew_certificate": certificate.preview,
    **VERBS,
    "ublox.roll_root_ca": root_ca.preview,
    "tap.reconfigure": tap.preview,
    "twon.rotate_mobile_key": mobile_key.preview,
    "centagate.register_token": token.preview,
}

__all__ = ["PREVIEWS", "Preview"]
