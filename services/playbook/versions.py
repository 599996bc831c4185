"""What a person asks of playbooks before one is put in force: whether it is right, and how it differs, rule by rule."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from schemas.errors import InputError
from schemas.playbook import PlaybookDocument, Rule
from schemas.rules import PlaybookView, RuleChange
from services.playbook.loader import load_playbook


def as_written(rule: Rule) -> dict[str, Any]:
    """A rule without what is as it is by default."""
    return rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)


def view(text: str, version: int | None, *, active: bool, operations: Mapping[str, type[BaseModel]]) -> PlaybookView:
    """A playbook with what this version of Keyturn makes of it.

    Args:
        text: TOML.
        version: None for the settings' own.
        active: whether it is in force.
        operations: the parameter model of every operation that there is.
    """
    try:
        playbook = load_playbook(text, operations=operations)
    except InputError as error:  # it was right for the Keyturn that kept it
        faults = list(error.faults)
        return PlaybookView(version=version, active=active, text=text, rules=[], warnings=[], faults=faults)
    return PlaybookView(
        version=version,
        active=active,
        text=text,
        rules=[as_written(rule) for rule in playbook.document.rules],
        warnings=list(playbook.warnings),
        faults=[],
    )


def differences(before: PlaybookDocument, after: PlaybookDocument) -> list[RuleChange]:
    """What became of each rule, in the order of the new playbook; what is gone comes last."""
    old = {rule.name: as_written(rule) for rule in before.rules}
    new = {rule.name: as_written(rule) for rule in after.rules}
    moved = _moved([name for name in old if name in new], [name for name in new if name in old])
    changes = [_change(name, old.get(name), rule, moved=name in moved) for name, rule in new.items()]
    changes += [_change(name, rule, None, moved=False) for name, rule in old.items() if name not in new]
    return [change for change in changes if change is not None]


def _change(
    name: str, before: dict[str, Any] | None, after: dict[str, Any] | None, *, moved: bool
) -> RuleChange | None:
    keys = {*(before or ()), *(after or ())}
    fields = sorted(key for key in keys if (before or {}).get(key) != (after or {}).get(key))
    if before is None or after is None:
        return RuleChange(
            rule=name, change="removed" if after is None else "added", fields=[], before=before, after=after
        )
    if fields:
        return RuleChange(rule=name, change="changed", fields=fields, before=before, after=after)
    return RuleChange(rule=name, change="moved", fields=[], before=before, after=after) if moved else None


def _moved(old: Sequence[str], new: Sequence[str]) -> set[str]:
    """Rules that come in another order; where two rules ask for the same, the first of them does."""
    return {one for one, other in zip(new, old, strict=True) if one != other}
