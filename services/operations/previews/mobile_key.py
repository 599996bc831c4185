"""What ``twon.rotate_mobile_key`` would change: the lists of the devices of a location, by a rehearsal."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from schemas.diffs import Change, Diff
from schemas.jobs import Done, Job, Outcome
from services.operations.contract import Tools
from services.operations.previews.rehearsal import RehearsedTwon
from services.operations.previews.sketches import diff_of, sketched
from services.operations.rotate_lists import named, told
from services.operations.rotate_mobile_key import RotateMobileKey
from services.operations.twon_access import SeenList

NEW: Final = "a new key"
"""Stands for the key that a job would make: it has no name before."""


def preview(jobs: Sequence[Job], tools: Tools) -> Mapping[int, Diff]:
    """Rehearse each."""
    return {job.id: sketched(job, partial(_rehearsed, job, tools)) for job in jobs}


def _rehearsed(job: Job, tools: Tools) -> Diff:
    stage = RehearsedTwon(tools.twon)
    outcome = RotateMobileKey().perform([job], replace(tools, twon=stage))[job.id]
    return diff_of(job, _unwritten(outcome, stage), _changes(stage))


def _unwritten(outcome: Outcome, stage: RehearsedTwon) -> Outcome:
    """A rehearsal's end is no report: what it says was seen was not."""
    if not isinstance(outcome, Done):
        return replace(outcome, reason=f"the job would come to this: {outcome.reason}")
    changed = sum(stage.before[serial] != seen for serial, seen in stage.after.items())
    count = len(stage.after)
    if not changed:
        return Done(note=f"nothing to do: {outcome.note}")
    return Done(note=f"the lists of {changed} of {count} devices would be written, in two steps")


def _changes(stage: RehearsedTwon) -> list[Change]:
    """What differs, those devices together that change alike."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for serial, after in stage.after.items():
        before = stage.before[serial]
        if before.publics != after.publics:
            alike["keys", _listed(before, stage), _listed(after, stage)].append(serial)
        if before.location != after.location:
            alike["location", before.location, after.location].append(serial)
    return [
        Change(what=f"{what} of {named(serials)}", now=now, then=then) for (what, now, then), serials in alike.items()
    ]


def _listed(seen: SeenList, stage: RehearsedTwon) -> str:
    """Keys by the beginnings of their fingerprints, the primary first."""
    names = [NEW if public in stage.keys.made else told(public) for public in seen.publics]
    return ", ".join(names) or "none"
