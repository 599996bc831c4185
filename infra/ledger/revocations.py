"""What the jobs noted that revoked a certificate, or are about to: the revocations that the ledger knows of."""

import json
from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text

from infra.ledger.seen import parts
from infra.ledger.tables import OPEN_STATES

_NOTED: Final = text(f"""
    SELECT target, progress, EXISTS (
        SELECT 1 FROM jobs r WHERE r.target = jobs.target AND r.operation = 'ublox.replace_certificate'
        AND r.state = 'succeeded' AND r.finished_at >= jobs.finished_at) AS replaced
    FROM jobs
    WHERE target IN :targets AND operation = 'ublox.revoke_certificate' AND progress LIKE '%"serial":%'
      AND (state = 'succeeded' OR progress LIKE '%"asked":"taken"%'
           OR ({OPEN_STATES} AND progress LIKE '%"asked":%'))
    ORDER BY id
""").bindparams(bindparam("targets", expanding=True))  # noqa: S608 - constants only
"""Of a job that failed, only what u-blox took; of one that goes on, also what may have been sent. Whether the device
has got new keys since."""


def revocations(connection: Connection, uids: Collection[str]) -> dict[str, list[Mapping[str, Any]]]:
    """The progress of such jobs, by device, the oldest first.

    An action that was pending is left out once the keys were replaced: no renewal brings the old ones back any more.
    """
    found: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for part in parts(sorted(uids)):
        for row in connection.execute(_NOTED, {"targets": part}):
            noted = json.loads(row.progress)
            if row.replaced:
                noted.pop("pending", None)
            found[row.target].append(noted)
    return dict(found)
