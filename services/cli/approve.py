"""``keyturn approve`` and ``keyturn reject``: a person's word for held jobs, straight in the ledger."""

from typing import TYPE_CHECKING, Annotated

import typer

from schemas.access import Role
from schemas.admin import LARGEST_ID
from services.cli.output import AsJson, Reason, actor, console, fail, now, opened, write_json
from services.cli.triggers import finish

if TYPE_CHECKING:
    from infra.ledger import Ledger
    from infra.ledger.holding import Said

Jobs = Annotated[list[int] | None, typer.Argument(metavar="JOB…", min=1, max=LARGEST_ID, help="Numbers of held jobs.")]
OfStep = Annotated[
    str | None, typer.Option("--step", help="What it is about; a job that asks about another step is left as it is.")
]
OfTrigger = Annotated[str | None, typer.Option("--trigger", help="All of a manual trigger instead.")]


def approve(
    jobs: Jobs = None, *, trigger: OfTrigger = None, step: OfStep = None, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Agree to held jobs."""
    _decide(jobs or [], trigger, "approve", reason, step=step, as_json=as_json)


def reject(
    jobs: Jobs = None, *, trigger: OfTrigger = None, step: OfStep = None, reason: Reason = "", as_json: AsJson = False
) -> None:
    """Refuse held jobs: they are cancelled."""
    _decide(jobs or [], trigger, "reject", reason, step=step, as_json=as_json)


def _decide(
    jobs: list[int], trigger: str | None, verdict: str, reason: str, *, step: str | None, as_json: bool
) -> None:
    """Who reaches the ledger itself may do what an admin may."""
    from infra.ledger.holding import NotAllowed, NothingToDecide, Said, Verdict

    if bool(jobs) == (trigger is not None):
        fail("name either jobs or --trigger", as_json=as_json)
    if trigger is not None and step is not None:
        fail("--step is about jobs: a trigger has none", as_json=as_json)
    said = Said(verdict=Verdict(verdict), actor=actor(), role=Role.ADMIN, reason=reason, step=step)
    try:
        with opened() as ledger:
            changed = _on_trigger(ledger, trigger, said) if trigger else _on_jobs(ledger, jobs, said)
    except (NotAllowed, NothingToDecide, LookupError) as error:
        fail(str(error.args[0]), as_json=as_json)
    if as_json:
        write_json({"changed": changed})
    elif not changed:
        console().print("nothing was left to do")
    else:
        past = "approved" if verdict == "approve" else "rejected"
        console().print(f"{past}: {trigger or ', '.join(map(str, changed))}")


def _on_jobs(ledger: "Ledger", jobs: list[int], said: "Said") -> list[int]:
    """All of them in one transaction: one that cannot be decided leaves the others as they are."""
    changed = []
    with ledger.database.writing() as connection:
        for job in dict.fromkeys(jobs):
            found = ledger.holding.say(connection, job, said, now())
            if found is None:
                raise LookupError(f"there is no job {job}")
            if found[0]:
                changed.append(job)
    return changed


def _on_trigger(ledger: "Ledger", trigger: str, said: "Said") -> list[str]:
    from infra.ledger.holding import Verdict
    from infra.settings import load_settings
    from services.wiring import make_desk

    if ledger.triggers.show(trigger) is None:
        raise LookupError(f"there is no trigger {trigger}")
    desk = make_desk(load_settings(), ledger)
    decide = desk.approve if said.verdict is Verdict.APPROVE else desk.reject
    with ledger.database.writing() as connection:
        news = decide(connection, trigger, said)
    finish(ledger, trigger)
    return [trigger] if news else []
