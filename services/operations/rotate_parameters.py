"""What a playbook or a person may say of a rotation of mobile keys."""

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class RotateMobileKeyParameters(BaseModel):
    """Which key, how often, and what a person has allowed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["rsa", "ecc"] = Field(default="rsa", description="ecc where every device has such a key already")
    at_most_every_days: int = Field(
        default=0, ge=0, le=3650, description="a location whose primary key is younger gets no new one, only a check"
    )
    drop_after_days: int = Field(
        default=90, ge=1, le=3650, description="days that phones are given before a fifth key pushes out the oldest"
    )
    drop_oldest: bool = Field(default=False, strict=True, description="drop the oldest key where there is no room")
    delete_unknown: bool = Field(
        default=False, strict=True, description="delete keys of a device whose private half is not held"
    )
    set_location: bool = Field(
        default=False, strict=True, description="write the inventory's location to a device that has another"
    )

    @property
    def at_most_every(self) -> timedelta:
        """How old the primary key must be before there is a new one."""
        return timedelta(days=self.at_most_every_days)

    @property
    def drop_after(self) -> timedelta:
        """How long the successor of a key must have been the primary before the key may go."""
        return timedelta(days=self.drop_after_days)
