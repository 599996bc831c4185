"""The certificate scan, over an account whose devices a test makes up."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from structlog.testing import capture_logs

from schemas.errors import Refused
from schemas.ublox import AuthorityLook, CertificateLook, DeviceLook
from tests.conftest import Clock
from tests.support.ledger import rows
from tests.support.rounds import House, schedule

SCAN, RENEW, TRANSFER = "ublox.scan_certificates", "ublox.renew_certificate", "ublox.transfer_root_ca"
DAY, HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass
class Account:
    """U-blox as the scan sees it.

    Attributes:
        calls: how often each verb was asked.
    """

    clock: Clock
    looks: dict[str, DeviceLook] = field(default_factory=dict)
    roots: list[AuthorityLook] = field(default_factory=list)
    refuses: set[str] = field(default_factory=set)
    calls: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.information = SimpleNamespace(look=self._look)
        self.devices = SimpleNamespace(walk=self._walk)
        self.authorities = SimpleNamespace(walk=lambda: iter(self.roots))

    def enlist(
        self,
        uid: str,
        days_left: float | None,
        *,
        serial: int = 0xA0,
        every: timedelta = HOUR,
        seen: timedelta = HOUR,
        **known: Any,
    ) -> None:
        """Have a device, or have it anew."""
        ends = None if days_left is None else self.clock() + days_left * DAY
        certificate = CertificateLook(serial=serial, ca_name="ca.example", expires_at=ends, validity_days=365)
        look = DeviceLook(uid=uid, certificate=certificate, heartbeat=every, last_seen=self.clock() - seen)
        self.looks[uid] = replace(look, **known)

    def _look(self, uids: Collection[str], _options: object) -> dict[str, DeviceLook]:
        self.calls["look"] += 1
        if self.refuses & set(uids):
            raise Refused("Bad Request. Invalid ROTPublicUIDs", call="/device/info/get", status=400)
        return {uid: self.looks[uid] for uid in uids if uid in self.looks}

    def _walk(self) -> Iterator[str]:
        self.calls["list"] += 1
        return iter(list(self.looks))


def scan(house: House, account: Account | None = None, **parameters: Any) -> list[str]:
    """Have the scan fire daily, and do what is due now; give the alerts. Renewals wait, unless it is told otherwise."""
    if house.ledger.schedules.find("daily") is None:
        parameters = {"rule": "in time", **parameters}
        house.only(schedule("daily", SCAN, house.clock(), every_seconds=86_400, parameters=parameters))
    house.sweep()
    with capture_logs() as logs:
        house.performer(**({} if account is None else {"ublox": account})).perform(SCAN)
    return [log["alert"] for log in logs if log["event"] == "alert"]


def targets(house: House) -> list[str]:
    """Whose jobs there are."""
    return [row["target"] for row in rows(house.ledger, "SELECT target FROM jobs ORDER BY target")]
