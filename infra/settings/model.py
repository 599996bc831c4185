"""Every setting of Keyturn with its kind, its range, its default and what it is for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, NamedTuple
from urllib.parse import unquote, urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
)

from infra.redaction import Redactor
from infra.settings import rules
from infra.settings.environ import DATA_DIR, variable_of
from infra.settings.samples import without_scheme

Seconds = Annotated[float, Field(gt=0, le=31_536_000, allow_inf_nan=False)]
Credential = Annotated[SecretStr | None, AfterValidator(rules.credential)]
UpstreamAddress = Annotated[str, AfterValidator(rules.upstream_address)]
CallRate = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}/(second|minute|hour|day)$")]
PathPrefix = Annotated[str, Field(pattern=r"^(/[A-Za-z0-9._~-]+)*$")]
ExistingFile = Annotated[Path, AfterValidator(rules.readable_file)]
GetEndpoint = Literal["/apiversion", "/notification/webhook/get"]
"""Calls of u-blox without a body; the document tells the method of nearly none."""

SHORTEST_SECRET_KEY: Final = 16
"""The key inside a Sentry DSN is masked on its own when it is this long; real ones have 32 characters."""


class Variable(NamedTuple):
    """One line of the table of settings."""

    variable: str
    default: str
    description: str


class Settings(BaseModel):
    """The settings of one process. It reads nothing by itself, `load_settings` does; once made, it never changes."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    database_url: Annotated[SecretStr, AfterValidator(rules.database_url)] = Field(
        SecretStr("sqlite:///var/keyturn.db"),
        description="The ledger: sqlite:///path for one machine, postgresql://user:password@host/name for many.",
    )
    redis_url: Annotated[SecretStr, AfterValidator(rules.redis_url)] = Field(
        SecretStr("redis://127.0.0.1:6379/0"),
        description="Broker and shared state: redis://, rediss:// or unix://. It may be wiped at any moment.",
    )
    data_dir: Path = Field(
        Path(DATA_DIR),
        description="Folder for what Keyturn keeps on this machine: the ledger, too, unless DATABASE_URL is given.",
    )
    vault_keys: Annotated[SecretStr | None, AfterValidator(rules.vault_keys)] = Field(
        None,
        description="The ring keys of the vault, one per line, newest first; `keyturn vault new-key` makes one. "
        "Whoever loses them loses every secret in the vault.",
    )

    host: str = Field("127.0.0.1", min_length=1, description="Address that the web process listens on.")
    port: int = Field(8080, ge=0, le=65_535, description="Port that the web process listens on; 0 takes a free one.")
    webhook_tokens: Annotated[tuple[SecretStr, ...], BeforeValidator(rules.webhook_tokens), Field(min_length=1)] = (
        Field(
            description="Whole Authorization header values that a webhook may carry, one per line, "
            "each of at least 16 characters; two or more while tokens are being changed."
        )
    )
    public_url: Annotated[str, AfterValidator(rules.public_address)] | None = Field(
        None, description="The https address at which u-blox reaches the web process; `keyturn webhooks` registers it."
    )
    body_limit_bytes: int = Field(262_144, ge=1024, le=16_777_216, description="Largest webhook body that is read.")
    accept_timeout: Seconds = Field(2.0, description="Seconds that a webhook waits for its commit before it gets 503.")
    accept_queue_limit: int = Field(10_000, ge=1, description="Webhooks that may wait for a commit in one process.")
    backlog_limit: int = Field(200_000, ge=1, description="Events without a plan above which webhooks get 503.")

    ublox_base_url: UpstreamAddress | None = Field(
        None, description="Address of u-blox Security Services; without it `keyturn up` starts the sandbox."
    )
    ublox_api_key: Credential = Field(None, description="The APIKey given by u-blox support.")
    ublox_api_secret: Credential = Field(None, description="The APISecret that belongs to the APIKey.")
    ublox_auth_scheme: str = Field(
        "Bearer",
        pattern=r"^[A-Za-z0-9._~-]*$",
        description="Word before the AuthToken in the Authorization header; empty sends the bare token.",
    )
    ublox_get_endpoints: Annotated[tuple[GetEndpoint, ...], BeforeValidator(rules.words)] = Field(
        (),
        description="Which of /apiversion and /notification/webhook/get u-blox is asked with GET; all else is a POST.",
    )
    ublox_timeout: Seconds = Field(30.0, description="Seconds that one call to u-blox may take.")
    ublox_ca_file: ExistingFile | None = Field(
        None, description="PEM file of the authorities to trust for u-blox instead of the public ones."
    )

    centagate_base_url: UpstreamAddress | None = Field(
        None, description="Address of CENTAGATE, without /CentagateWS; without it no token is registered."
    )
    centagate_prefix: PathPrefix = Field(
        "", description="Path before /CentagateWS in management calls; some installations want /v2."
    )
    centagate_auth_prefix: PathPrefix = Field(
        "/v2", description="Path before /CentagateWS in the log-in; older installations want it empty."
    )
    centagate_admin_username: Annotated[str, Field(min_length=1, max_length=255)] | None = Field(
        None, description="The administrator that registers tokens; without step-up authentication for the app."
    )
    centagate_admin_password: Credential = Field(None, description="The password of the administrator.")
    centagate_integration_key: Credential = Field(None, description="The integration key of the Web API app.")
    centagate_secret_key: Credential = Field(None, description="The secret key that belongs to the integration key.")
    centagate_timeout: Seconds = Field(30.0, description="Seconds that one call to CENTAGATE may take.")
    centagate_ca_file: ExistingFile | None = Field(
        None, description="PEM file of the authorities to trust for CENTAGATE instead of the public ones."
    )

    playbook_file: ExistingFile | None = Field(None, description="The playbook; without it the built-in one is used.")
    sweep_every: Seconds = Field(2.0, description="Seconds between two sweeps of the ledger.")
    lease: Seconds = Field(15.0, description="Seconds after which a silent worker loses its job; above two sweeps.")
    max_attempts: int = Field(
        100, ge=1, le=1000, description="Attempts after which a job is parked; 100 take about ten hours."
    )
    retry_base: Seconds = Field(2.0, description="Seconds before the first repeat; each further wait is longer.")
    retry_cap: Seconds = Field(900.0, description="Longest wait between two attempts in seconds.")
    ublox_rate: CallRate | None = Field(
        None,
        description="Calls to u-blox that all workers together may make, such as 20/second; without it any number.",
    )
    tap_rate: CallRate | None = Field(
        None, description="Lines to Taps that all workers together may open, such as 300/minute; without it any number."
    )
    twon_rate: CallRate | None = Field(
        None, description="Conversations with 2N devices that all workers together may begin; without it any number."
    )
    centagate_rate: CallRate | None = Field(
        None, description="Calls to CENTAGATE that all workers together may make; without it any number."
    )
    worker_threads: int = Field(128, ge=1, le=1024, description="Jobs that one worker process performs at a time.")
    bulk_linger: float = Field(
        0.35, ge=0, le=60, allow_inf_nan=False, description="Seconds to wait for more jobs that fit into the same call."
    )
    renewal_look_every: Seconds = Field(3600.0, description="Seconds between two looks at a renewal that is awaited.")
    renewal_deadline: Seconds = Field(
        1_209_600.0, description="Seconds that a device may take to act on a renewal (default 14 days)."
    )
    retention_days: int = Field(90, ge=1, le=36_500, description="Days that settled events and jobs are kept.")

    metrics_token: Credential = Field(
        None,
        description="What /metrics wants as `Authorization: Bearer …`; without it only this machine may read it, and"
        " not through a proxy.",
    )
    environment: str = Field(
        "production", pattern=r"^[A-Za-z0-9._-]{1,64}$", description="Name of this installation in logs and Sentry."
    )
    sentry_dsn: Annotated[SecretStr, AfterValidator(rules.sentry_dsn)] | None = Field(
        None, description="Where errors are reported; without it nothing is sent."
    )
    log_level: Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(rules.upper)] = (
        Field("INFO", description="Least level that is logged.")
    )
    log_format: Literal["auto", "json", "pretty"] = Field(
        "auto",
        description="How log lines look: json, pretty, or auto, which is pretty on a terminal and JSON elsewhere.",
    )

    @field_validator(
        "ublox_api_key",
        "ublox_api_secret",
        "centagate_admin_username",
        "centagate_admin_password",
        "centagate_integration_key",
        "centagate_secret_key",
    )
    @classmethod
    def _needs_its_partner(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        name = f"{(info.field_name or '').partition('_')[0]}_base_url"
        upstream_given = info.data.get(name, "given, but wrong") is not None
        address = variable_of(name)
        if upstream_given and value is None:
            raise ValueError(f"is required because {address} is set")
        if value is not None and not upstream_given:
            raise ValueError(f"is set, but {address} is not: set both or neither")
        return value

    @field_validator("lease")
    @classmethod
    def _outlives_two_sweeps(cls, value: float, info: ValidationInfo) -> float:
        if value <= 2 * info.data.get("sweep_every", 0):
            raise ValueError(f"must be more than twice {variable_of('sweep_every')}")
        return value

    @field_validator("backlog_limit", "retry_cap", "renewal_deadline")
    @classmethod
    def _is_not_below(cls, value: float, info: ValidationInfo) -> float:
        lower = {"backlog_limit": "accept_queue_limit", "retry_cap": "retry_base"}
        name = lower.get(info.field_name or "", "renewal_look_every")
        if value < info.data.get(name, 0):
            raise ValueError(f"must not be less than {variable_of(name)}")
        return value

    def secret_values(self) -> frozenset[str]:
        """Give every value that must never be shown, for the redactor."""
        tokens = {token.get_secret_value() for token in self.webhook_tokens}
        credentials = {secret.get_secret_value() for name in _CREDENTIALS if (secret := getattr(self, name))}
        values = tokens | {without_scheme(token) for token in tokens} | credentials | _passwords(self.database_url)
        return frozenset(values | _passwords(self.redis_url) | _dsn_parts(self.sentry_dsn) | _ring(self.vault_keys))

    def shown(self) -> dict[str, str]:
        """Give each variable with a text that can be shown to anybody."""
        redactor = Redactor(self.secret_values())
        return {variable_of(name): _shown(name, getattr(self, name), redactor) for name in type(self).model_fields}


_CREDENTIALS: Final = (
    "ublox_api_key",
    "ublox_api_secret",
    "centagate_admin_password",
    "centagate_integration_key",
    "centagate_secret_key",
    "metrics_token",
)

SECRET_FIELDS: Final = frozenset(
    {"database_url", "redis_url", "vault_keys", "webhook_tokens", "sentry_dsn", *_CREDENTIALS}
)
"""Fields that hold a secret, so that each can also be read from a file."""

_URLS: Final = frozenset({"database_url", "redis_url"})


def _shown(name: str, value: object, redactor: Redactor) -> str:
    if value is None:
        return "not set"
    if isinstance(value, SecretStr):
        return redactor.text(value.get_secret_value()) if name in _URLS else "set"
    if isinstance(value, tuple):
        return f"{len(value)} set" if name in SECRET_FIELDS else " ".join(value) or "none"
    return str(value)


def _passwords(url: SecretStr) -> set[str]:
    """The password of a URL as it is written there and as it is meant."""
    password = urlsplit(url.get_secret_value()).password or ""
    return {password, unquote(password)} - {""}


def _dsn_parts(dsn: SecretStr | None) -> set[str]:
    if dsn is None:
        return set()
    text = dsn.get_secret_value()
    return {text} | {part for part in [urlsplit(text).username or ""] if len(part) >= SHORTEST_SECRET_KEY}


def _ring(keys: SecretStr | None) -> set[str]:
    """Each ring key as it is written, without its id."""
    return {line.partition(":")[2].strip() for line in keys.get_secret_value().splitlines()} - {""} if keys else set()


def describe() -> list[Variable]:
    """Give the table of settings, in the order of the model."""
    return [
        Variable(variable_of(name), _default_text(field.default, required=field.is_required()), _described(name))
        for name, field in Settings.model_fields.items()
    ]


def _default_text(default: object, *, required: bool) -> str:
    if required:
        return "required"
    if default in (None, ()):
        return ""
    return str(default.get_secret_value() if isinstance(default, SecretStr) else default)


def _described(name: str) -> str:
    description = Settings.model_fields[name].description or ""
    return f"{description} Or in a file: {variable_of(name)}_FILE." if name in SECRET_FIELDS else description


def build(values: Mapping[str, str]) -> Settings:
    """Make settings of raw texts; raises pydantic's ValidationError. The ledger lies in the data folder unless told."""
    ledger = f"sqlite:///{values.get('data_dir', 'var')}/keyturn.db"
    return Settings.model_validate({"database_url": ledger, **values})
