"""The parts of the u-blox twin that need no server."""

from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from schemas.errors import InputError
from services.sandbox.turning import turned
from services.sandbox.ublox import shapes, timestamps
from services.sandbox.ublox.certificates import days_left
from services.sandbox.ublox.devices import Device, imei_of
from services.sandbox.ublox.dials import Dials, Scheme
from services.sandbox.ublox.fleet import DEFAULT_CA, Fleet, Notice, Recruits
from services.sandbox.ublox.tokens import REFRESH_LIFE, Tokens, bare_token
from tests.conftest import Clock

NOW = datetime(2026, 5, 10, 19, 39, 42, 123_456, tzinfo=UTC)


def now() -> datetime:
    return NOW


def one_device() -> Device:
    return Fleet(clock=now, random=Random(1)).recruit(Recruits(count=1, certificate_days_left=30))[0]


def test_each_form_of_a_time_is_the_documents() -> None:
    assert timestamps.without_zone(NOW) == "2026-05-10T19:39:42"
    assert timestamps.in_minutes(NOW) == "2026-05-10T19:39Z"
    assert timestamps.with_offset(NOW) == "2026-05-10T19:39:42+00:00"
    assert timestamps.with_z(NOW) == "2026-05-10T19:39:42Z"


def test_the_sample_imei_is_one_of_ours() -> None:
    assert imei_of(398_436) == "862618583984360"


def test_a_begun_day_counts_whole_and_a_past_one_not_at_all() -> None:
    assert days_left(NOW + timedelta(days=30), NOW) == 30
    assert days_left(NOW + timedelta(days=29, hours=1), NOW) == 30
    assert days_left(NOW - timedelta(days=3), NOW) == 0


def test_a_serial_number_loses_its_leading_zeros() -> None:
    device = one_device()
    assert device.certificate is not None
    device.certificate.serial = 0x073068C914DE40CCAEE84E03A66B4858
    assert device.certificate.serial_text == "73068c914de40ccaee84e03a66b4858"


def test_info_has_exactly_the_members_of_each_group() -> None:
    info = shapes.device_info(one_device(), shapes.ALL_GROUPS, default_heartbeat=1.5)
    assert list(info) == ["ROTPublicUID", "CORE", "PROVISIONING", "ZTP"]
    assert info["PROVISIONING"]["DesiredProperties"]["NetworkParameters"] == [
        {"Name": "SecurityHeartbeatInSec", "Value": 2}
    ]
    assert info["PROVISIONING"]["CurrentProperties"]["Zerotouch"] == {}
    assert list(info["ZTP"]) == [
        "CertificateAuthorityName",
        "CertificateSerialNumber",
        "CertificateValidity",
        "ExpirationDate",
        "Certificate",
    ]
    assert info["ZTP"]["CertificateValidity"] == 365
    assert info["ZTP"]["ExpirationDate"] == "2026-06-09T19:39Z"


def test_a_root_is_as_old_as_its_validity_says() -> None:
    root = shapes.root_ca(Fleet(clock=now, random=Random(1)).authority(DEFAULT_CA))
    assert root["CACertificateValidity"] == 3650
    assert root["CreatedDate"].endswith("Z")


def test_only_the_latest_notices_of_a_device_are_kept() -> None:
    fleet = Fleet(clock=now, random=Random(1))
    for number in range(10_001):
        fleet.note(Notice(uid="u", kind=str(number), at=NOW, document={}))
    assert len(fleet.notices["u"]) == 10_000
    assert fleet.notices["u"][0].kind == "1"


def test_a_notice_is_kept_for_180_days() -> None:
    fleet = Fleet(clock=now, random=Random(1))
    for days in (0, 1, 180, 181):
        fleet.note(Notice(uid="u", kind=str(days), at=NOW + timedelta(days=days), document={}))
    assert [notice.kind for notice in fleet.notices["u"]] == ["1", "180", "181"]


def test_a_fleet_is_bounded() -> None:
    fleet = Fleet(clock=now, random=Random(1))
    with pytest.raises(InputError, match="at most"):
        fleet.recruit(Recruits(count=100_001))


def test_a_turn_of_the_dials_lists_every_fault() -> None:
    with pytest.raises(InputError) as caught:
        turned(Dials(), {"error_rate": 2, "colour": "red", "silent_devices": ["x"], "subscription_active": 1})
    assert {fault.partition(":")[0].partition(".")[0] for fault in caught.value.faults} == {
        "error_rate",
        "colour",
        "silent_devices",
        "subscription_active",
    }
    with pytest.raises(InputError, match="object"):
        turned(Dials(), [])


def test_dials_keep_what_is_not_turned_and_write_uids_their_way() -> None:
    dials = turned(turned(Dials(), {"latency_ms": 5}), {"refused_devices": ["135700008928C093"]})
    assert dials.latency_ms == 5
    assert dials.refused_devices == {"135700008928c093"}


@pytest.mark.parametrize(
    ("header", "scheme", "token"),
    [
        ("Bearer abc", Scheme.BOTH, "abc"),
        ("bearer abc", Scheme.BEARER, "abc"),
        ("abc", Scheme.BOTH, "abc"),
        ("abc", Scheme.BEARER, ""),
        ("Bearer abc", Scheme.BARE, ""),
        ("Basic abc", Scheme.BOTH, ""),
        ("", Scheme.BOTH, ""),
    ],
)
def test_the_header_is_read_as_strictly_as_the_scheme_says(header: str, scheme: Scheme, token: str) -> None:
    assert bare_token(header, scheme) == token


def test_tokens_end_with_time(clock: Clock) -> None:
    """An AuthToken lives as long as its claims say, a RefreshToken three days."""
    tokens = Tokens(accounts={"key": "secret"}, clock=clock)
    pair = tokens.log_in("key", "secret", life=60)
    assert pair is not None
    assert tokens.admits(pair[0], Scheme.BOTH)
    clock.forward(seconds=60)
    assert not tokens.admits(pair[0], Scheme.BOTH)
    clock.forward(seconds=REFRESH_LIFE.total_seconds() - 60)
    assert tokens.refresh("key", pair[1], life=60)
    assert not tokens.refresh("other", pair[1], life=60)
    clock.forward(seconds=1)
    assert not tokens.refresh("key", pair[1], life=60)


@pytest.mark.parametrize("token", ["", "a.b", "a.b.c", "a.b.c.d", "é.b.c", "..", "a.b.!!!!"])
def test_what_is_no_token_admits_nobody(token: str) -> None:
    assert not Tokens(accounts={}, clock=now).admits(token, Scheme.BOTH)
