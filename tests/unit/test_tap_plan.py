"""What there is to do on a Tap: tables of single cases, and laws that hold for any wish and any Tap."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from schemas.errors import InputError
from schemas.references import EnvironmentReference, SecretReference
from schemas.tap import ADMIN, SUPERVISOR, TapConfiguration
from services.clients.tap.enumerations import HostProtocol
from services.operations.tap_plan import Actual, Plan, Target, leftovers, make_plan, shown
from services.operations.tap_settings import Stage, Wish, wishes_of

ADMINS: list[dict[str, Any]] = [
    {"name": "admin", "password": {"env": "ADMIN_PASSWORD"}},
    {"name": "supervisor", "password": {"env": "SUPERVISOR_PASSWORD"}},
]
ALL = HostProtocol.NFC | HostProtocol.WIFI | HostProtocol.BLE | HostProtocol.MQTT
HERE = Actual(firmware="1.113", version="1.0.0", transport=HostProtocol.WIFI, available=ALL, groups=frozenset({ADMIN}))


def reveal(reference: SecretReference) -> SecretStr:
    assert isinstance(reference, EnvironmentReference)
    pem = reference.env.startswith("PEM")
    return SecretStr(f"-----BEGIN {reference.env}" if pem else f"secret of {reference.env}")


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


TEXT = st.text("abcdefgh0123", min_size=1, max_size=12)
SECRET = st.just({"env": "SOME_SECRET"})
BYTE = st.integers(0, 255)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


OTHERS = st.lists(
    st.fixed_dictionaries(
        {"name": TEXT, "group": st.integers(1, 9), "password": SECRET}, optional={"lifetime": st.integers(0, 65535)}
    ),
    max_size=3,
    unique_by=(lambda user: user["name"], lambda user: user["group"]),
)
WANTED = st.fixed_dictionaries(
    {"version": st.sampled_from(["1.0.0", "2.0.0"]), "users": OTHERS.map(lambda others: [*others, *ADMINS])},
    optional={
        "name": TEXT,
        "protocols": st.just(["wifi", "ble"]),
        "inactivity": BYTE,
        "hash_iterations": st.integers(1, 65535),
        "wifi": some(
            mode=st.sampled_from(["network", "access-point"]),
            ssid=TEXT,
            key=SECRET,
            ip=st.just("10.0.0.2"),
            country=BYTE,
        ),
        "mqtt": some(
            host=TEXT, port=st.integers(1, 9), user=TEXT, password=SECRET, certificate=st.just({"env": "PEM"})
        ),
        "time": some(ntp_server=TEXT, zone=TEXT),
        "certificates": st.just({"public": {"env": "PEM1"}, "private": {"env": "PEM2"}}),
    },
)


@st.composite
def situations(draw: st.DrawFn) -> tuple[Target, Actual]:
    """Any wish and any Tap: each value as wished, another, or not told."""
    document: dict[str, Any] = draw(WANTED)
    aim = Target(version=document["version"], wishes=wishes_of(TapConfiguration.model_validate(document), reveal))
    groups = frozenset({ADMIN, SUPERVISOR}) | draw(st.frozensets(st.integers(1, 9)))
    values: dict[str, Any] = {}
    for wish in aim.wishes:
        told = draw(st.sampled_from(["wished", "another", "untold"]))
        if wish.get and told != "untold" and (wish.group is None or wish.group in groups):
            values[wish.label] = wish.value if told == "wished" else "another"
    version = draw(st.sampled_from(["0.0.0", "1.0.0", "2.0.0"]))
    proven = draw(st.frozensets(st.sampled_from(sorted(groups))))
    return aim, replace(HERE, version=version, values=values, groups=groups, proven=proven)


def applied(plan: Plan, actual: Actual) -> Actual:
    """The Tap after these writes; what it did not tell before it does not tell now."""
    values, groups, proven, version = dict(actual.values), set(actual.groups), set(actual.proven), actual.version
    for step in plan.steps:
        wish = step.wish
        if wish.is_password and wish.group is not None:
            proven.add(wish.group)
        elif wish.stage is Stage.VERSION:
            version = wish.value
        elif wish.put == "group.create" and wish.group is not None:
            groups.add(wish.group)
        elif wish.get:
            values[wish.label] = wish.value
    return replace(actual, values=values, groups=frozenset(groups), proven=frozenset(proven), version=version)


@given(situations())
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(situation: tuple[Target, Actual]) -> None:
    aim, actual = situation
    after = applied(make_plan(aim, actual), actual)
    assert make_plan(aim, after) == Plan()


@given(situations(), st.data())
def test_a_plan_that_was_cut_short_is_finished_by_the_next(
    situation: tuple[Target, Actual], data: st.DataObject
) -> None:
    aim, actual = situation
    plan = make_plan(aim, actual)
    cut = data.draw(st.integers(0, len(plan.steps)))
    halfway = applied(replace(plan, steps=plan.steps[:cut]), actual)
    rest = make_plan(aim, halfway)
    assert make_plan(aim, applied(rest, halfway)) == Plan()
    if plan.steps and cut < len(plan.steps) and actual.version != aim.version:
        assert rest.restarts or not plan.restarts


@given(situations())
def test_the_order_of_any_plan_keeps_its_laws(situation: tuple[Target, Actual]) -> None:
    aim, actual = situation
    plan = make_plan(aim, actual)
    wishes: list[Wish] = [step.wish for step in plan.steps]
    assert [wish.stage for wish in wishes] == sorted(wish.stage for wish in wishes)
    assert not wishes or wishes[-1].label == "version"
    places = {wish.label: place for place, wish in enumerate(wishes)}
    assert len(places) == len(wishes)
    for wish in wishes:
        if wish.is_password:
            assert places.get("hash_iterations", -1) < places[wish.label]
            assert places.get(f"{wish.label.removesuffix('.password')}", -1) < places[wish.label]
        if wish.group is not None and wish.group not in actual.groups:
            assert places[f"{'.'.join(wish.label.split('.')[:2])}"] <= places[wish.label]
    assert "secret of" not in f"{plan!r} {aim!r} {[(step.before, step.after) for step in plan.steps]}"
