"""Brings a database to the newest schema, and tells when it is not there."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from infra.ledger.engine import Database
from schemas.errors import ConfigurationError

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"


def migrate(database: Database) -> None:
    """Run every migration that is missing, in one transaction; harmless when none is, and when two do it at once."""
    config = _config()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def check_schema(database: Database) -> None:
    """Refuse a database whose schema is not the one that this code was written for.

    Raises:
        ConfigurationError: it is older, newer or empty; the text says what to do.
    """
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    with database.reading() as connection:
        found = MigrationContext.configure(connection).get_current_revision()
    if found != wanted:
        raise ConfigurationError(
            f"the ledger's schema is {found or 'empty'}, this version of Keyturn needs {wanted}: run 'keyturn migrate'"
        )


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config
