"""What there is to do on a Tap: tables of single cases, and laws that hold for any wish and any Tap."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import SecretStr

from schemas.errors import InputError
from schemas.references import SecretReference
from schemas.tap import ADMIN, SUPERVISOR, TapConfiguration
from services.clients.tap.enumerations import HostProtocol
from services.operations.tap_plan import Actual, Plan, Target, leftovers, make_plan, shown
from services.operations.tap_settings import wishes_of
from tests.unit.tap_wishes import ADMINS, HERE, reveal


def target(*, version: str = "2.0.0", **wanted: Any) -> Target:
    document = {"version": version, "users": ADMINS, **wanted}
    return Target(version=version, wishes=wishes_of(TapConfiguration.model_validate(document), reveal))


def labels(plan: Plan) -> list[str]:
    return [step.wish.label for step in plan.steps]


def settled(aim: Target, **changes: Any) -> Actual:
    values = {wish.label: wish.value for wish in aim.wishes if wish.get}
    groups = frozenset(wish.group for wish in aim.wishes if wish.group is not None)
    return replace(HERE, version=aim.version, values=values, groups=groups, proven=groups, **changes)


def test_a_tap_that_is_as_wished_needs_nothing() -> None:
    aim = target(name="gate", wifi={"ssid": "plant", "key": {"env": "WIFI"}})
    assert make_plan(aim, settled(aim)) == Plan()


def test_another_version_alone_writes_what_a_tap_does_not_tell() -> None:
    aim = target(name="gate", certificates={"public": {"env": "PEM1"}, "private": {"env": "PEM2"}})
    actual = replace(settled(aim), version="1.9.9")
    plan = make_plan(aim, actual)
    assert labels(plan) == ["certificates.public", "certificates.private", "version"]
    assert plan.restarts


def test_a_password_that_does_not_open_the_tap_is_written_again() -> None:
    aim = target()
    plan = make_plan(aim, replace(settled(aim), proven=frozenset({ADMIN})))
    assert labels(plan) == ["users.supervisor.password", "version"]
    assert not plan.restarts


def test_other_iterations_mean_that_every_password_is_written_again_at_once() -> None:
    aim = target(hash_iterations=900)
    values = {**settled(aim).values, "hash_iterations": 100}
    plan = make_plan(aim, replace(settled(aim), values=values))
    assert labels(plan) == ["hash_iterations", "users.admin.password", "users.supervisor.password", "version"]


def test_a_new_user_is_created_named_and_given_a_password_in_this_order() -> None:
    night = {"name": "night", "group": 7, "password": {"env": "NIGHT"}, "lifetime": 60}
    aim = target(users=[*ADMINS, night])
    there = frozenset({ADMIN, SUPERVISOR})
    plan = make_plan(aim, replace(settled(aim), groups=there, values={}, version="1.0.0"))
    assert labels(plan) == [
        "users.night",
        "users.night.name",
        "users.night.password",
        "users.night.lifetime",
        "version",
    ]


def test_the_way_back_is_kept_open() -> None:
    aim = target(
        protocols=["wifi", "mqtt"],
        wifi={"mode": "network", "ssid": "plant", "key": {"env": "WIFI"}, "ip": "10.0.0.2"},
        mqtt={"host": "broker", "port": 8883, "password": {"env": "MQTT"}, "net_key": {"env": "NET"}},
        name="gate",
    )
    order = labels(make_plan(aim, HERE))
    assert order[0] == "name"
    assert order[-2:] == ["protocols", "version"]
    for earlier, later in (
        ("wifi.key", "wifi.ssid"),
        ("mqtt.password", "mqtt.host"),
        ("mqtt.net_key", "mqtt.host"),
        ("mqtt.host", "wifi.ssid"),
        ("wifi.ip", "wifi.ssid"),
        ("wifi.ssid", "wifi.mode"),
        ("users.admin.password", "wifi.key"),
    ):
        assert order.index(earlier) < order.index(later)


@pytest.mark.parametrize(
    ("wanted", "actual", "words"),
    [
        ({"time": {"zone": "UTC"}}, replace(HERE, firmware="1.103"), "time.zone needs firmware >=1.107"),
        ({"wifi": {"country": 250}}, replace(HERE, firmware="1.87.3"), "wifi.country needs firmware >=1.88"),
        ({"hash_iterations": 9}, replace(HERE, firmware="1.10"), "hash_iterations needs firmware >=1.11"),
        ({"protocols": ["ble"]}, HERE, "protocols lacks wifi, by which we speak"),
        ({"protocols": ["wifi", "gsm"]}, HERE, "protocols names gsm, which this Tap does not have"),
        ({}, replace(HERE, scram=False), "SCRAM is off"),
    ],
)
def test_what_cannot_be_is_refused_before_the_first_write(wanted: dict[str, Any], actual: Actual, words: str) -> None:
    plan = make_plan(target(**wanted), actual)
    assert plan.steps == ()
    assert words in plan.refusals[0]


def test_every_refusal_is_told() -> None:
    aim = target(time={"zone": "UTC", "ntp_server": "ntp"}, protocols=["ble"])
    assert len(make_plan(aim, replace(HERE, firmware="1.50", scram=False)).refusals) == 4


@pytest.mark.parametrize(
    ("label", "secret", "words"),
    [
        ("ADMIN_PASSWORD", "admin", "must not be the name of a user"),
        ("ADMIN_PASSWORD", "Supervisor", "must not be the name of a user"),
        ("SUPERVISOR_PASSWORD", "supervisor", "must not be the name of a user"),
        ("NIGHT", "night", "must not be the user's own name"),
        ("WIFI", "short", "must have 8 to 63 characters"),
        ("WIFI", "x" * 64, "must have 8 to 63 characters"),
        ("MQTT", "x" * 210, "must be at most 209 printable ASCII characters"),
        ("NET", "söme key", "must be at most 209 printable ASCII characters"),
        ("PEM1", "no certificate", "must be PEM text"),
        ("PEM2", "-----BEGIN " + "x" * 20_000, "must have at most 16384 characters"),
    ],
)
def test_a_secret_that_cannot_be_used_is_refused_without_being_repeated(label: str, secret: str, words: str) -> None:
    document = {
        "version": "1.0.1",
        "users": [*ADMINS, {"name": "night", "group": 7, "password": {"env": "NIGHT"}}],
        "wifi": {"key": {"env": "WIFI"}},
        "mqtt": {"password": {"env": "MQTT"}, "net_key": {"env": "NET"}},
        "certificates": {"public": {"env": "PEM1"}, "private": {"env": "PEM2"}},
    }

    def one_is_bad(reference: SecretReference) -> SecretStr:
        return SecretStr(secret) if str(reference) == f"variable {label}" else reveal(reference)

    with pytest.raises(InputError) as caught:
        wishes_of(TapConfiguration.model_validate(document), one_is_bad)
    assert len(caught.value.faults) == 1
    assert words in str(caught.value)
    assert secret not in str(caught.value).replace(words, "").replace(".admin", "").replace(".supervisor", "").replace(
        ".night", ""
    )


def test_every_secret_that_is_missing_is_told() -> None:
    def nowhere(reference: SecretReference) -> SecretStr:
        raise InputError([f"{reference} holds no secret"])

    with pytest.raises(InputError) as caught:
        wishes_of(TapConfiguration.model_validate({"version": "1.0.1", "users": ADMINS}), nowhere)
    assert [fault.partition(": ")[0] for fault in caught.value.faults] == [
        "users.admin.password",
        "users.supervisor.password",
    ]


def test_what_reads_back_otherwise_is_left_over() -> None:
    aim = target(name="gate", inactivity=7)
    plan = make_plan(aim, HERE)
    assert leftovers(plan, replace(HERE, values={"name": "gate", "inactivity": 8})) == ("inactivity",)


@pytest.mark.parametrize(
    ("value", "secret", "text"),
    [
        ("x", True, "•••"),
        ("", True, "empty"),
        ("", False, "empty"),
        (HostProtocol.WIFI | HostProtocol.BLE, False, "wifi, ble"),
        (HostProtocol(0), False, "none"),
        (7, False, "7"),
    ],
)
def test_values_are_shown_to_people(value: object, secret: bool, text: str) -> None:  # noqa: FBT001 - a table
    assert shown(value, secret=secret) == text
