"""Leaked keys are revoked and replaced by a running system whose worker is killed between the two."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from services.wiring import now
from tests.fixtures.ublox import CA
from tests.support.compromise import REPLACE, REVOKE
from tests.support.ledger import ask, wish
from tests.support.patience import eventually
from tests.support.stand import Stand, standing

DEVICES = 60


@pytest.mark.parametrize("database", ["postgres"])  # what differs between the two is told without processes
@pytest.mark.xdist_group("whole machine")
@pytest.mark.parametrize("begun", ["revocations", "updates"])
def test_each_leaked_key_is_revoked_and_replaced_once_although_the_worker_is_killed(
    begun: str, tmp_path: Path, database_url: str
) -> None:
    """It dies amid the revocations, or as soon as the replacements were asked for."""
    with standing(tmp_path, database_url) as stand:
        uids = stand.twin.devices(DEVICES)
        leaked = {uid: certificate(stand, uid) for uid in uids}
        stand.twin.turn(latency_ms=20)
        ask(stand.ledger, now(), *[wish(uid, REVOKE) for uid in uids])
        ask(stand.ledger, now(), *[wish(uid, REPLACE, after_revocation=True) for uid in uids])
        eventually(lambda: total(stand, begun) > 0, f"{begun} are under way")
        stand.kill("ublox")
        stand.start("ublox")
        eventually(stand.at_rest, "everything is at rest")

        assert stand.states() == {f"{REVOKE} succeeded": DEVICES, f"{REPLACE} succeeded": DEVICES}, stand.logs()
        listed = revocation_list(stand)
        for uid, old in leaked.items():
            new = certificate(stand, uid)
            assert new.public_key() != old.public_key()
            assert listed.get_revoked_certificate_by_serial_number(old.serial_number) is not None
            assert listed.get_revoked_certificate_by_serial_number(new.serial_number) is None
        actions = stand.twin.stats()["actions"]
        assert {name: (actions[name]["total"], actions[name]["max"]) for name in ("revocations", "updates")} == {
            "revocations": (DEVICES, 1),
            "updates": (DEVICES, 1),
        }


def certificate(stand: Stand, uid: str) -> x509.Certificate:
    pem: str = stand.twin.info(uid)["ZTP"]["Certificate"]
    return x509.load_pem_x509_certificate(pem.replace("\\n", "\n").encode())


def revocation_list(stand: Stand) -> x509.CertificateRevocationList:
    (told,) = stand.twin.ask("/ztp/rootca/crl/get", CANames=[CA])["CRLs"]
    return x509.load_pem_x509_crl(crl_of(told).replace("\\n", "\n").encode())


def crl_of(told: dict[str, Any]) -> str:
    return next(value for value in told.values() if isinstance(value, str) and "BEGIN" in value)


def total(stand: Stand, action: str) -> int:
    return int(stand.twin.stats()["actions"][action]["total"])
