"""The client of CENTAGATE."""

from services.clients.centagate.client import Centagate
from services.clients.centagate.session import Administrator

__all__ = ["Administrator", "Centagate"]
