"""Laws of the plan that hold for any wish and any Tap."""

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schemas.tap import ADMIN, SUPERVISOR, TapConfiguration
from services.operations.tap_plan import Actual, Plan, Target, make_plan
from services.operations.tap_settings import Stage, Wish, wishes_of
from tests.unit.tap_wishes import ADMINS, HERE, reveal

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
