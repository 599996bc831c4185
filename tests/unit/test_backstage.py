"""What runs behind the tasks goes on whatever happens."""

import threading
from itertools import chain, repeat
from unittest.mock import Mock, PropertyMock, patch

import pytest
from structlog.testing import capture_logs

from infra.settings import load_settings
from schemas.errors import LedgerUnavailable
from tests.support.patience import eventually
from workers.backstage import Backstage

ENVIRON = {
    "KEYTURN_WEBHOOK_TOKENS": "Bearer tR7-kq0Zp2-wv9Xs4",
    "KEYTURN_SWEEP_EVERY": "0.01",
    "KEYTURN_LEASE": "0.03",
}


@pytest.mark.parametrize(
    ("error", "level"), [(LedgerUnavailable("locked"), "warning"), (RuntimeError("unforeseen"), "error")]
)
def test_leases_are_kept_on_being_renewed_after_any_error(error: Exception, level: str) -> None:
    backstage = Backstage(load_settings(ENVIRON, None), Mock())
    runner = Mock()
    runner.keep_leases.side_effect = chain([error], repeat(0))
    with capture_logs() as logs, patch.object(Backstage, "runner", PropertyMock(return_value=runner)):
        backstage.start_keeping_leases()
        eventually(lambda: runner.keep_leases.call_count >= 3)
        backstage.stop()
        eventually(lambda: all(thread.name != "leases" for thread in threading.enumerate()))
    assert [(log["event"], log["log_level"]) for log in logs] == [("leases could not be renewed", level)]
