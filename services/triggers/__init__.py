"""The manual trigger: what a person asks for becomes jobs, after it could be seen what would follow."""

from services.triggers.desk import Desk
from services.triggers.looking import Looker
from services.triggers.making import Maker

__all__ = ["Desk", "Looker", "Maker"]
