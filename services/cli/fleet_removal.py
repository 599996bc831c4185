"""``keyturn fleet remove``: one thing of the inventory goes, with its secrets."""

from typing import Annotated

import typer

from services.cli.output import AsJson, Reason, actor, console, fail, now, opened, read_as, write_json


def remove(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="One of site, device, 2n, token, tap.")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="As 'keyturn fleet list' shows it.")],
    *,
    reason: Reason = "",
    as_json: AsJson = False,
) -> None:
    """Remove one thing with its secrets. Exit codes: 0 done, 1 there is no such thing, or things belong to it."""
    from infra.ledger import EntryId
    from infra.settings import load_settings
    from schemas.errors import InputError
    from schemas.fleet_views import RemoveThing
    from services.fleet import Importer
    from services.fleet.csv_form import KIND_NAMES
    from services.fleet.removing import remove as take_away
    from services.wiring import open_vault

    if kind not in KIND_NAMES:
        fail(f"expected one of {', '.join(KIND_NAMES)}, not {kind}", as_json=as_json)
    why = read_as(RemoveThing, reason=reason).reason
    wanted, called = EntryId(KIND_NAMES[kind], name), f"{kind}/{name}"
    with opened() as ledger:
        importer = Importer(ledger, lambda: open_vault(load_settings(), ledger), clock=now)
        try:
            gone = take_away(ledger, importer, wanted, name=called, actor=actor(), reason=why, now=now())
        except InputError as error:
            fail(str(error), as_json=as_json)
    if gone is None:
        fail(f"there is no {kind} {name} in the inventory", as_json=as_json)
    if as_json:
        write_json({"ok": True, "kind": kind, "name": name, "site": gone.site})
    else:
        console().print(f"{kind} {name} is removed", soft_wrap=True)
