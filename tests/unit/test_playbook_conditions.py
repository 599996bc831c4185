import contextlib
import dataclasses
import string

import cel
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import InputError
from schemas.playbook import NO_WORK
from services.playbook.conditions import compile_condition, view_of
from services.playbook.sight import FIELDS, seen_of
from tests.unit.playbooks import DEVICE, event

CONTEXT = cel.Context({})


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ("event.type == 'DEVICE_BOOTSTRAP_EVENT'", True),
        (f"event.device == '{DEVICE}'", True),
        ("event.device == null", False),
        ("event.days_to_expiration != null && event.days_to_expiration <= 30", True),
        ("event.text == 'bad key'", True),
        ("event.payload.Sub.Name == 'ZTPV1'", True),
        ("event . payload // the sender's\n . Sub . Name == 'ZTPV1'", True),
        ("event.payload['Sub']['Name'] == 'ZTPV1'", True),
        ("'Sub' in event.payload", True),
        ("event.payload.size() == 5", True),
        ("size(event.payload) == 5", True),
        ("has(event.payload.Sub) && !has(event.payload.Other)", True),
        ("event.payload.List.exists(x, x == 2)", True),
        ("event.payload.List.all(x, x > 1) || event.payload.List.exists_one(x, x == 3)", True),
        ("event.payload.Error.matches('(?i)KEY')", True),
        ("'event.nothing' != \"it's event.nothing\"", True),
        ("r'\\' != 'event.nothing // no comment'", True),
        ("event == event", True),
        ("true", True),
        ("event.payload.Missing || true", True),
        ("event.payload.Missing || false", "the condition failed: there is no Missing"),
        ("event.payload.Missing.Deeper == 1", "the condition failed: there is no Missing"),
        ("event.payload.Error > 3", "the condition failed: No such overload: the operation is not defined"),
        ("event.payload.Sub.Name", "the condition gave text instead of true or false"),
        ("event.payload.Null", "the condition gave null instead of true or false"),
        ("event.payload.List", "the condition gave a list instead of true or false"),
        ("event.payload.List[7] == 1", "the condition failed: index out of bounds: 7"),
        ("1 / (event.days_to_expiration - 7) == 1", "the condition failed: division by zero"),
        ("timestamp(event.text) == timestamp(event.text)", "the condition failed: Function 'timestamp' error"),
    ],
)
def test_a_condition_sees_the_event(source: str, *, holds: bool | str) -> None:
    payload = {"Sub": {"Name": "ZTPV1"}, "List": [1, 2, 3], "Error": "Bad KEY", "DaysToExpiration": 7, "Null": None}
    compiled = compile_condition(source)
    view = view_of(seen_of(event("DEVICE_BOOTSTRAP_EVENT", payload), compiled.fields, compiled.keys, NO_WORK))
    assert not isinstance(view, str)
    answer = compiled.holds(view)
    assert answer.startswith(holds) if isinstance(answer, str) and isinstance(holds, str) else answer is holds


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("", "is not a CEL condition: line 1, column 1: unexpected end of the text"),
        ("1 +", "is not a CEL condition: line 1, column 4: unexpected end of the text"),
        ("event.text == 'open", "is not a CEL condition: line 1, column 15: token recognition error"),
        ("event.a ? 1", "is not a CEL condition: "),
        ("(" * 200 + "true" + ")" * 200, "is not a CEL condition: "),
        ("has(event)", "invalid argument to has() macro"),
        ("evnt.type == 'x'", "unknown variable evnt; a condition sees only event, with type"),
        ("event.typ == 'x'", "event has no typ; expected one of type, device"),
        ("event.IsBlacklisted", "event has no IsBlacklisted"),
        ("event.text.lowerAscii() == ''", "unknown function lowerAscii; expected one of contains"),
        ("[1].all(x)", "unknown variable x"),
        ("[1].exists(event, event == 1)", "a loop must not name its variable event"),
        (
            "[1].all(x, [1].all(y, x == y))",
            "none of all, exists, exists_one, existsOne may stand inside another",
        ),
        ("&&".join(["[1].all(x, x > 0)"] * 5), "at most 4 of all, exists"),
        ("1" + "+1" * 9 + " == 10", "at most 8 plus signs may stand in a condition, not 9"),
        ("[1].map(x, x) == []", "map makes lists"),
        ("[1].filter(x, true) == []", "filter makes lists"),
        ("[1].all(x, x == event.payload.a)", "a loop reads its own variable only"),
        ("['a'].all(x, x.matches('a'))", "matches may not stand inside a loop"),
        ("event.type", "gives text, but a condition must give true or false"),
        ("1 + 1", "gives a number, but a condition must give true or false"),
        ("event.device", "gives text, but"),
        ("null", "gives null, but"),
        ("[1]", "gives a list, but"),
        ("{1: 1}", "gives a map, but"),
        ("duration('1s')", "gives a timedelta, but"),
        ("'a'.matches('(')", "cannot run: Function 'matches' error: '(' not a valid regex"),
        ("Thing{a: 1} == 1", "cannot run: Internal CEL error"),
        ("'" + "x" * 2000 + "' == ''", "at most 1000 characters"),
        ("\ud800", "is not a CEL condition: UnicodeEncodeError"),
    ],
)
def test_a_condition_that_cannot_work_is_refused(source: str, fault: str) -> None:
    with pytest.raises(InputError) as caught:
        compile_condition(source)
    assert fault in "\n".join(caught.value.faults)


class Panics:
    """A program that does what the extension does when it panics, or when a person interrupts it."""

    def __init__(self, failure: BaseException) -> None:
        self.failure = failure

    def execute(self, _: object) -> None:
        """Fail."""
        raise self.failure


class Panic(BaseException):
    """A failure that is no Exception, as the extension raises them."""


def test_a_panic_is_a_reason_and_an_interrupt_is_let_through() -> None:
    compiled = compile_condition("true")
    assert dataclasses.replace(compiled, program=Panics(Panic())).holds(CONTEXT) == "the condition failed: Panic"  # type: ignore[arg-type]
    with pytest.raises(KeyboardInterrupt):
        dataclasses.replace(compiled, program=Panics(KeyboardInterrupt())).holds(CONTEXT)  # type: ignore[arg-type]


def check_any(source: str) -> None:
    """A condition says the same of what it reads as of the whole event."""
    with contextlib.suppress(InputError):
        compiled = compile_condition(source)
        notification = event("X", {"a": 1, "x": {"a": [True]}, "Error": "e"})
        part = view_of(seen_of(notification, compiled.fields, compiled.keys, NO_WORK))
        whole = view_of(seen_of(notification, frozenset(FIELDS), None, NO_WORK))
        assert not isinstance(part, str)
        assert not isinstance(whole, str)
        assert compiled.holds(part) == compiled.holds(whole)


@given(st.text(alphabet=string.printable, max_size=60) | st.text(max_size=40))
def test_any_text_is_a_condition_or_a_fault(source: str) -> None:
    check_any(source)


PARTS = ["event", ".payload", ".type", ".a", "['a']", "(", ")", "[", "]", "'", '"', "//", "\n", "1", "+", "==", "!"]
PARTS += ["&&", "?", ":", ".all(x,", ".exists(e,", "x", "true", "null", "size(", ".matches(", "'(a|b)*'", "{", "}", ","]


@given(st.lists(st.sampled_from(PARTS), max_size=14).map("".join))
def test_any_pieces_of_a_condition_are_a_condition_or_a_fault(source: str) -> None:
    check_any(source)
