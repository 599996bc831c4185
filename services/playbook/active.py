"""The playbook in force: the version that was activated last, or the settings' own where none ever was."""

import threading
from collections.abc import Callable

import structlog

from infra.ledger import Ledger
from schemas.errors import InputError
from services.playbook.decisions import Playbook

log = structlog.get_logger(__name__)


class ActivePlaybook:
    """Gives the playbook in force; whoever asks again gets the one that was activated meanwhile. Threads may share it.

    A version that this process cannot load (an older Keyturn does not know its operations) leaves the one before in
    force, with an error in the log; at the start there is none before, and the fault is raised.
    """

    def __init__(self, ledger: Ledger, *, default: Callable[[], Playbook], load: Callable[[str], Playbook]) -> None:
        self._ledger = ledger
        self._default = default
        self._load = load
        self._guard = threading.Lock()
        self._revision: tuple[int, int] | None = None
        self._playbook: Playbook | None = None

    def __call__(self) -> Playbook:
        """The playbook in force now.

        Raises:
            InputError: it has faults, and there is none before it.
            LedgerUnavailable: nobody can tell.
        """
        revision = self._ledger.playbooks.revision()
        with self._guard:
            if self._playbook is None or revision != self._revision:
                self._playbook = self._renewed(revision)
                self._revision = revision
            return self._playbook

    def _renewed(self, revision: tuple[int, int] | None) -> Playbook:
        if revision is None:
            return self._default()
        text = self._ledger.playbooks.text(revision[0]) or ""
        try:
            playbook = self._load(text)
        except InputError as error:
            if self._playbook is None:
                raise
            log.error("the activated playbook cannot be loaded; the one before stays", faults=error.faults)  # noqa: TRY400 - the faults say it all
            return self._playbook
        if self._playbook is not None:
            log.info("a playbook was activated", version=revision[0])
        return playbook
