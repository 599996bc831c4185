"""``mobile_keys.check_ages``: has the mobile keys of 2N locations rotated when the primary one has grown old."""

from datetime import timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.fleet import LOCATION
from services.operations import PARAMETERS
from services.playbook.checks import complete_parameters
from services.schedules.turn import Found, Turn

ROTATE: Final = "twon.rotate_mobile_key"
MOST_NAMED: Final = 200


class AgeParameters(BaseModel):
    """When a key is old."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    days: int = Field(365, ge=1, le=36_500, description="a primary key older than this is rotated")


def work(turn: Turn) -> Found:
    """Ask for a rotation at every location whose primary key is too old."""
    wanted = AgeParameters.model_validate(turn.spec.parameters)
    primaries, locations = turn.means.ledger.mobile_keys.primaries(), turn.means.fleet().locations
    before = turn.means.clock() - timedelta(days=wanted.days)
    old = sorted(location for location, since in primaries.items() if since < before)
    gone = [location for location in old if location not in locations]
    homes = {name: site.name for site in turn.means.fleet().sites for name in site.locations}
    parameters = complete_parameters(PARAMETERS[ROTATE], {})
    asked = turn.ask(
        [turn.wish(ROTATE, LOCATION + name, parameters, site=homes[name]) for name in old if name in locations]
    )
    told = f"{len(primaries)} locations, {len(old)} with a primary key older than {wanted.days} days"
    left = f"; {len(gone)} of them are not in the inventory any more" if gone else ""
    return Found(
        reason=f"{told}; {asked} rotations asked for{left}",
        detail={"locations": len(primaries), "old": len(old), "old_locations": old[:MOST_NAMED], "asked": asked},
    )
