import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text

from infra.ledger import Ledger, check_schema, migrate
from infra.ledger.engine import Database
from infra.ledger.schema import HEAD, MIGRATIONS
from infra.ledger.tables import metadata
from schemas.errors import ConfigurationError
from tests.conftest import Clock
from tests.support.ledger import ask, rows, wish

DEFINITIONS = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL ORDER BY name",
    "postgresql": "SELECT indexname AS name, indexdef AS sql FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
}


@pytest.fixture
def config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    return config


def indexes(database: Database) -> dict[str, str]:
    with database.reading() as connection:
        found = connection.execute(text(DEFINITIONS[connection.dialect.name])).all()
    return {row.name: " ".join(row.sql.split()) for row in found if not row.name.startswith("alembic")}


def test_the_newest_migration_is_the_one_that_the_code_names(config: Config) -> None:
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


def test_a_migrated_ledger_is_accepted(ledger: Ledger) -> None:
    check_schema(ledger.database)


def test_an_empty_database_is_refused_with_the_command_to_run(database_url: str) -> None:
    database = Database(database_url)
    with pytest.raises(ConfigurationError, match=f"schema is empty, .* needs {HEAD}: run 'keyturn migrate'"):
        check_schema(database)
    database.close()


def test_a_schema_of_another_version_is_refused(ledger: Ledger) -> None:
    with ledger.database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(ConfigurationError, match=f"schema is 9999, this version of Keyturn needs {HEAD}"):
        check_schema(ledger.database)


def test_the_migrations_lead_to_the_tables_that_the_code_describes(ledger: Ledger) -> None:
    with ledger.database.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        assert compare_metadata(context, metadata) == []


def test_the_migrations_lead_to_the_same_indexes_word_for_word(ledger: Ledger) -> None:
    """The comparison of Alembic passes over the conditions of partial indexes, on which the claim's speed stands."""
    migrated = indexes(ledger.database)
    with ledger.database.writing() as connection:
        metadata.drop_all(connection)
        metadata.create_all(connection)
    assert indexes(ledger.database) == migrated
    assert len([sql for sql in migrated.values() if " WHERE " in sql]) == 19


def test_migrating_again_changes_nothing(ledger: Ledger, clock: Clock) -> None:
    jobs = ask(ledger, clock(), wish())
    migrate(ledger.database)
    assert [row["id"] for row in rows(ledger, "SELECT id FROM jobs")] == jobs


def test_schedules_of_before_keep_their_action_under_its_new_name(ledger: Ledger, config: Config) -> None:
    """An operation has the old name of the action that looks for clones."""
    kinds = "SELECT kind FROM schedules"
    details = "SELECT detail FROM firings ORDER BY due_at"
    with ledger.database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
        connection.exec_driver_sql("INSERT INTO schedules VALUES ('mine', 'ublox.check_clones', '{}', 1, 9, 1, 1)")
        for at, detail in enumerate(('{"attempt":1,"kind":"ublox.check_clones"}', '{"kind":"ledger.prune"}')):
            bound = {"at": at, "detail": detail}
            connection.execute(text("INSERT INTO firings VALUES ('mine', :at, 1, 'waiting', :detail)"), bound)
        command.upgrade(config, "head")
    assert rows(ledger, kinds) == [{"kind": "ublox.scan_clones"}]
    assert [row["detail"] for row in rows(ledger, details)] == [
        '{"attempt":1,"kind":"ublox.scan_clones"}',
        '{"kind":"ledger.prune"}',
    ]
    with ledger.database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0004")
    assert rows(ledger, kinds) == [{"kind": "ublox.check_clones"}]


def test_a_downgrade_leaves_nothing_and_an_upgrade_brings_all_back(ledger: Ledger, config: Config) -> None:
    before = indexes(ledger.database)
    with ledger.database.writing() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert indexes(ledger.database) == {}
    migrate(ledger.database)
    check_schema(ledger.database)
    assert indexes(ledger.database) == before


def test_a_migration_that_fails_leaves_the_database_as_it_was(database_url: str) -> None:
    database = Database(database_url)
    with database.writing() as connection:
        connection.execute(text("CREATE TABLE notes (wrong INTEGER)"))  # the last table of the first migration
    with pytest.raises(Exception, match="notes"):
        migrate(database)
    with pytest.raises(ConfigurationError, match="schema is empty"):
        check_schema(database)
    database.close()


def test_two_processes_may_migrate_at_once(database_url: str) -> None:
    code = "import sys; from infra.ledger import Ledger, migrate; migrate(Ledger(sys.argv[1]).database)"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code, database_url],
            cwd=Path(__file__).resolve().parents[2],
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    errors = [process.communicate(timeout=60)[1] for process in both]
    assert ([process.returncode for process in both], errors) == ([0, 0], ["", ""])
    database = Database(database_url)
    check_schema(database)
    database.close()
