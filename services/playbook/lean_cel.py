"""The CEL library without its own command line: a terminal and a highlighter that cost 0.4 s at every start."""

import sys
from types import ModuleType

sys.modules.setdefault("cel.cli", ModuleType("cel.cli"))

import cel  # noqa: E402 - it imports its command line at once

__all__ = ["cel"]
