"""What was recorded from the vendor's own client."""

import json
from pathlib import Path as File
from typing import Any, Final

from services.clients.tap import Method, Path, Request

Vector = dict[str, Any]

VECTORS: Final[list[Vector]] = json.loads(
    (File(__file__).parents[2] / "fixtures" / "tap-vectors.json").read_text(encoding="utf-8")
)["vectors"]
COUNT: Final = 95
FIRMWARE: Final = Request(Method.GET, Path.parse("/3//3"))
