"""What every part needs: the time, the ledger, the vault, the broker and the playbook in force."""

from datetime import UTC, datetime

from celery import Celery

from infra.broker import make_celery
from infra.ledger import Ledger, check_schema
from infra.settings import Settings
from infra.vault import KeyRing, Vault
from schemas.errors import ConfigurationError
from services.operations import PARAMETERS
from services.playbook import ActivePlaybook, Playbook, default_text, load_playbook, read_text


def now() -> datetime:
    """The time of this machine, with its zone."""
    return datetime.now(UTC)


def open_ledger(settings: Settings) -> Ledger:
    """Open the ledger and make sure that its schema is ours.

    Raises:
        ConfigurationError: it has another schema.
        LedgerUnavailable: it cannot be reached.
    """
    ledger = Ledger(settings.database_url.get_secret_value())
    check_schema(ledger.database)
    return ledger


def open_vault(settings: Settings, ledger: Ledger) -> Vault:
    """Open the vault in the ledger.

    Raises:
        ConfigurationError: there is no key ring, or it has faults.
    """
    if settings.vault_keys is None:
        raise ConfigurationError(
            "KEYTURN_VAULT_KEYS (or KEYTURN_VAULT_KEYS_FILE) is needed to open the vault:"
            " 'keyturn vault new-key' makes its first line"
        )
    return Vault(ledger.secrets, KeyRing.parse(settings.vault_keys.get_secret_value()), clock=now)


def make_broker(settings: Settings) -> Celery:
    """Make the Celery application, without tasks."""
    return make_celery(settings.redis_url.get_secret_value(), sweep_every=settings.sweep_every)


def load_active_playbook(settings: Settings) -> Playbook:
    """Load the settings' own playbook, which is in force where none was ever activated.

    Raises:
        InputError: it has faults.
    """
    return load_playbook(settings_text(settings), operations=PARAMETERS)


def settings_text(settings: Settings) -> str:
    """The text of the settings' own playbook, or of the one that is shipped.

    Raises:
        InputError: the file cannot be read.
    """
    return read_text(settings.playbook_file) if settings.playbook_file else default_text()


def active_playbook(settings: Settings, ledger: Ledger) -> ActivePlaybook:
    """Make what gives the playbook in force."""

    def load(text: str) -> Playbook:
        return load_playbook(text, operations=PARAMETERS)

    return ActivePlaybook(ledger, default=lambda: load_active_playbook(settings), load=load)
