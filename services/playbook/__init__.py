"""The playbook: rules that are checked whole when they are loaded, and quick when an event comes."""

from services.playbook.active import ActivePlaybook
from services.playbook.decisions import Playbook, WorkOf
from services.playbook.loader import default_text, load_playbook, read_text

__all__ = ["ActivePlaybook", "Playbook", "WorkOf", "default_text", "load_playbook", "read_text"]
