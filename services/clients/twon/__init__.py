"""The client of the HTTP API of 2N intercoms and access units."""

from services.clients.twon import keys
from services.clients.twon.address import TwonAddress
from services.clients.twon.client import BOUNDS, TwonClient
from services.clients.twon.envelope import SubscriptionEnded
from services.clients.twon.keys import PrivateKey

__all__ = ["BOUNDS", "PrivateKey", "SubscriptionEnded", "TwonAddress", "TwonClient", "keys"]
