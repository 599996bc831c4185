"""Conditions of a playbook: CEL text that is checked when the playbook is loaded and that cannot hurt when it runs.

What a condition sees `sight` says. To hand a whole notification to CEL costs ten times what the comparison itself does,
so a condition also says which fields it reads, and only those are handed over.

A loop runs over what a stranger sent, and CEL has no clock that stops it: a loop that joins lists or compiles a pattern
at every turn was seen to take minutes for a thousand values. So what a loop does is kept proportional to the event: it
sees at most `MOST_VALUES` values of it, reads only its own variable, and holds no other loop and no pattern.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from schemas.errors import InputError
from schemas.playbook import LONGEST_CONDITION
from services.playbook.lean_cel import cel
from services.playbook.sight import DEVICE, FIELDS, MOST_VALUES, WORK, too_much

FUNCTIONS: Final = frozenset(
    {
        "contains",
        "startsWith",
        "endsWith",
        "matches",
        "size",
        "int",
        "uint",
        "double",
        "string",
        "timestamp",
        "duration",
    }
)
LOOPS: Final = ("all", "exists", "exists_one", "existsOne")
MOST_LOOPS: Final = 4
MOST_SUMS: Final = 8
"""Plus signs in a condition; each may join long lists."""

_TEXT = re.compile(
    r"""(?:[bB]?[rR]|[rR][bB])(?:\"{3}(?s:.*?)\"{3}|'{3}(?s:.*?)'{3}|"[^"\n]*"|'[^'\n]*')"""
    r"""|[bB]?(?:\"{3}(?s:(?:\\.|[^\\])*?)\"{3}|'{3}(?s:(?:\\.|[^\\])*?)'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
    r"""|//[^\n]*"""
)
_EVENT = re.compile(r"(?<![\w.])event\b(?:\.(\w+)(?:\.(\w+)(?!\w|\s*\())?)?")
_DEVICE = re.compile(rf"(?<![\w.]){DEVICE}\b(?:\.(\w+))?")
_LOOP = re.compile(rf"\.(?:{'|'.join(LOOPS)})\s*\(")
_BOUND = re.compile(rf"\.(?:{'|'.join((*LOOPS, 'map', 'filter'))})\s*\(\s*(\w+)\s*,")
_PROBE: Final = {
    "event": {"type": "", "device": "", "ca": "", "payload": {}, "days_to_expiration": 30, "text": ""},
    DEVICE: {name: [""] for name in WORK},
}


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that passed every check.

    Attributes:
        source: the text as written.
        fields: which fields of ``event`` it reads.
        keys: which keys of the payload it reads, or None when it may read any.
        work: whether it reads what is at hand for the device.
    """

    source: str
    program: cel.Program
    fields: frozenset[str]
    keys: frozenset[str] | None
    work: bool

    def holds(self, context: cel.Context) -> bool | str:
        """Whether it holds; text says why it cannot be told."""
        try:
            result = self.program.execute(context)
        except BaseException as failure:  # noqa: BLE001 - a panic inside the Rust extension is no Exception
            _let_through(failure)
            return f"the condition failed: {_reason(failure)}"
        if result is True or result is False:
            return bool(result)
        return f"the condition gave {_kind(result)} instead of true or false"


def compile_condition(source: str) -> Condition:
    """Compile and check a condition.

    Raises:
        InputError: every fault of it.
    """
    if len(source) > LONGEST_CONDITION:
        raise InputError([f"a condition has at most {LONGEST_CONDITION} characters, not {len(source)}"])
    try:
        program = cel.compile(source)
        references = program.references()
    except BaseException as failure:  # noqa: BLE001 - as in Condition.holds
        _let_through(failure)
        raise InputError([f"is not a CEL condition: {_syntax_fault(failure)}"]) from None
    bare = _without_texts(source)
    faults = [*_name_faults(bare, references), *_loop_faults(bare), *_field_faults(bare)]
    if not faults:
        faults = list(_result_faults(program))
    if faults:
        raise InputError(faults)
    return Condition(source, program, *_reads(bare), _DEVICE.search(bare) is not None)


def view_of(seen: Mapping[str, Any]) -> cel.Context | str:
    """What conditions see, as `seen_of` gives it, in the form in which they read it; text says why they cannot."""
    if too_much(seen["event"]):
        return f"the event is too large for a condition: more than {MOST_VALUES} values"
    try:
        return cel.Context(dict(seen))
    except BaseException as failure:  # noqa: BLE001 - as in Condition.holds
        _let_through(failure)
        return f"the event cannot be shown to a condition: {_reason(failure)}"


def _without_texts(source: str) -> str:
    """The source with empty string literals, without comments and without space around dots."""
    bare = _TEXT.sub(lambda found: " " if found[0].startswith("//") else '""', source)
    return re.sub(r"\s*\.\s*", ".", bare)


def _name_faults(bare: str, references: Mapping[str, list[str]]) -> Iterator[str]:
    bound = set(_BOUND.findall(bare))
    for name in sorted({"event", DEVICE} & bound):
        yield f"a loop must not name its variable {name}"
    for name in references["variables"]:
        if name not in {"event", DEVICE} and name not in bound:
            seen = f"event, with {', '.join(FIELDS)}, and {DEVICE}, with {', '.join(WORK)}"
            yield f"unknown variable {name}; a condition sees only {seen}"
    for name in references["functions"]:
        if name.isidentifier() and name not in FUNCTIONS:  # an operator's name, such as _==_, is none
            yield f"unknown function {name}; expected one of {', '.join(sorted(FUNCTIONS))} or {', '.join(LOOPS)}"


def _field_faults(bare: str) -> Iterator[str]:
    for field in dict.fromkeys(found[1] for found in _EVENT.finditer(bare) if found[1]):
        if field not in FIELDS:
            known = ", ".join(FIELDS)
            yield f"event has no {field}; expected one of {known} (what the sender gave is in event.payload)"
    for field in dict.fromkeys(found[1] for found in _DEVICE.finditer(bare) if found[1]):
        if field not in WORK:
            yield f"{DEVICE} has no {field}; expected one of {', '.join(WORK)}"


def _loop_faults(bare: str) -> Iterator[str]:
    if found := re.search(r"\.(map|filter)\s*\(", bare):
        yield f"{found[1]} makes lists, which costs more than a condition may; expected one of {', '.join(LOOPS)}"
    if bare.count("+") > MOST_SUMS:
        yield f"at most {MOST_SUMS} plus signs may stand in a condition, not {bare.count('+')}"
    bodies = [bare[found.end() : _closing(bare, found.end())] for found in _LOOP.finditer(bare)]
    if len(bodies) > MOST_LOOPS:
        yield f"at most {MOST_LOOPS} of {', '.join(LOOPS)} may stand in a condition, not {len(bodies)}"
    if any(_LOOP.search(body) for body in bodies):
        yield f"none of {', '.join(LOOPS)} may stand inside another"
    if any(_EVENT.search(body) or _DEVICE.search(body) for body in bodies):
        yield "a loop reads its own variable only; compare with event outside of it"
    if any(re.search(r"\bmatches\s*\(", body) for body in bodies):
        yield "matches may not stand inside a loop; expected contains, startsWith or endsWith"


def _closing(bare: str, start: int) -> int:
    depth, index = 1, start
    while depth and index < len(bare):
        depth += {"(": 1, ")": -1}.get(bare[index], 0)
        index += 1
    return index


def _result_faults(program: cel.Program) -> Iterator[str]:
    """Try the condition once: an answer that is not true or false, or a broken pattern, shows at once."""
    try:
        result = program.execute(_PROBE)
    except RuntimeError as failure:
        if "not a valid regex" in str(failure) or str(failure).startswith("Internal CEL error"):
            yield f"cannot run: {_reason(failure)}"
    except BaseException as failure:  # noqa: BLE001 - what fails for want of a field may hold for a real event
        _let_through(failure)
    else:
        if not isinstance(result, bool):
            yield f"gives {_kind(result)}, but a condition must give true or false"


def _reads(bare: str) -> tuple[frozenset[str], frozenset[str] | None]:
    found = _EVENT.findall(bare)
    if any(not field for field, _ in found):
        return frozenset(FIELDS), None
    keys = [key for field, key in found if field == "payload"]
    return frozenset(field for field, _ in found), frozenset(keys) if all(keys) else None


def _syntax_fault(failure: BaseException) -> str:
    """The parser's own first line, without the picture and the source that it repeats."""
    found = re.search(r"ERROR: <input>:(\d+):(\d+): (.*)", str(failure))
    if not found:
        return f"{type(failure).__name__}, perhaps nested too deep"
    words = found[3].removeprefix("Syntax error: ").partition(" expecting ")[0].replace("'<EOF>'", "end of the text")
    return f"line {found[1]}, column {found[2]}: {re.sub('^(mismatched|extraneous) input', 'unexpected', words)[:200]}"


def _reason(failure: BaseException) -> str:
    if isinstance(failure, KeyError):
        return f"there is no {failure.args[0] if failure.args else 'such key'}"
    text = re.split(r"\. (?=[A-Z])", " ".join(str(failure).split()), maxsplit=1)[0]
    return text[:200].rstrip(".") or type(failure).__name__


def _kind(value: object) -> str:
    if value is None:
        return "null"
    names = {int: "a number", float: "a number", str: "text", list: "a list", dict: "a map"}
    return names.get(type(value), f"a {type(value).__name__}")


def _let_through(failure: BaseException) -> None:
    if isinstance(failure, KeyboardInterrupt | SystemExit | GeneratorExit):
        raise failure
