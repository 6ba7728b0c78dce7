"""The configuration: environment variables `COUNTERSIGN_*` alone, secrets also as `*_FILE`."""

import contextlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from kernel.buckets import Location, parse_buckets

MIB = 1024**2
GIB = 1024**3


class ConfigurationError(Exception):
    """A variable is missing or malformed. The message names it and says what is expected."""


@dataclass(frozen=True)
class Configuration:
    """Everything that an installation decides. `production` is on unless embedded mode is."""

    data_dir: Path
    production: bool
    bind: str
    public_url: str
    database_url: str
    broker_url: str
    secret_key: str = field(repr=False)
    organisation: str = "Countersign"
    log_origin: str = "countersign.local/log"
    time_zone: str = "UTC"
    max_json_bytes: int = 1 * MIB
    max_evidence_bytes: int = 2 * GIB
    max_artifact_bytes: int = 10 * GIB
    # Counts of people under this are shown to nobody but those who may read whole cubes.
    cell_floor: int = 11
    outbound_allow: tuple[str, ...] = ()
    log_level: str = "INFO"
    # Where checkpoints are held outside, and entries streamed to (docs/operations-log.md, docs/siem.md).
    anchor_folder: str = ""
    anchor_bucket: str = ""
    anchor_tsa: str = ""
    anchor_tsa_roots: str = ""
    anchor_witnesses: str = ""
    anchor_minutes: int = 60
    # Buckets by the names that sources of data use: kernel.buckets.
    buckets: tuple[tuple[str, Location], ...] = ()
    siem: str = ""
    siem_types: tuple[str, ...] = ("*",)
    siem_authorization: str = field(default="", repr=False)

    @property
    def host(self) -> str:
        return urlsplit(self.public_url).hostname or "localhost"

    @property
    def https(self) -> bool:
        return self.public_url.startswith("https://")


class _Reader:
    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str, default: str = "") -> str:
        return self._environ.get(f"COUNTERSIGN_{name}", default)

    def secret(self, name: str) -> str:
        path = self._environ.get(f"COUNTERSIGN_{name}_FILE")
        if not path:
            return self.text(name)
        try:
            return Path(path).read_text().strip()
        except OSError as error:
            raise ConfigurationError(
                f"COUNTERSIGN_{name}_FILE: cannot read {path}: {error.strerror}"
            ) from error

    def buckets(self, name: str) -> tuple[tuple[str, Location], ...]:
        try:
            return tuple(parse_buckets(self.text(name)).items())
        except ValueError as error:
            raise ConfigurationError(f"COUNTERSIGN_{name}: {error}") from None

    def flag(self, name: str, default: bool) -> bool:
        value = self.text(name).lower()
        if value in {"", "1", "true", "yes", "0", "false", "no"}:
            return default if not value else value in {"1", "true", "yes"}
        raise ConfigurationError(f"COUNTERSIGN_{name}: expected true or false, got {value!r}")

    def number(self, name: str, default: int) -> int:
        value = self.text(name)
        if value and (not value.isdecimal() or int(value) == 0):
            raise ConfigurationError(
                f"COUNTERSIGN_{name}: expected a positive number, got {value!r}"
            )
        return int(value or default)

    def size(self, name: str, default: int) -> int:
        value = self.text(name)
        if not value:
            return default
        if not value.isdecimal() or int(value) == 0:
            raise ConfigurationError(
                f"COUNTERSIGN_{name}: expected a number of bytes, got {value!r}"
            )
        return int(value)


def settings_from_env(environ: Mapping[str, str], *, base_dir: Path) -> Configuration:
    """Read the configuration.

    Embedded mode (the default) needs no variable: it keeps all in `COUNTERSIGN_DATA_DIR`, a made-up
    secret key included. `COUNTERSIGN_PRODUCTION=true` wants each of them said.

    Raises:
        ConfigurationError: naming the variable.
    """
    read = _Reader(environ)
    production = read.flag("PRODUCTION", default=False)
    data_dir = Path(read.text("DATA_DIR", str(base_dir / "data"))).expanduser().resolve()
    bind = read.text("BIND", "127.0.0.1:8000")
    configuration = Configuration(
        data_dir=data_dir,
        production=production,
        bind=bind,
        public_url=read.text("PUBLIC_URL", f"http://{bind}").rstrip("/"),
        database_url=read.secret("DATABASE_URL") or f"sqlite:///{data_dir / 'countersign.sqlite3'}",
        broker_url=read.secret("BROKER_URL") or f"sqla+sqlite:///{data_dir / 'broker.sqlite3'}",
        secret_key=read.secret("SECRET_KEY") or ("" if production else _embedded_secret(data_dir)),
        organisation=read.text("ORGANISATION", "Countersign"),
        log_origin=read.text("LOG_ORIGIN", "countersign.local/log"),
        time_zone=read.text("TIME_ZONE", "UTC"),
        max_json_bytes=read.size("MAX_JSON_BYTES", 1 * MIB),
        max_evidence_bytes=read.size("MAX_EVIDENCE_BYTES", 2 * GIB),
        max_artifact_bytes=read.size("MAX_ARTIFACT_BYTES", 10 * GIB),
        cell_floor=read.number("CELL_FLOOR", 11),
        outbound_allow=tuple(filter(None, read.text("OUTBOUND_ALLOW").split(","))),
        log_level=read.text("LOG_LEVEL", "INFO"),
        anchor_folder=read.text("ANCHOR_FOLDER"),
        anchor_bucket=read.text("ANCHOR_BUCKET"),
        buckets=read.buckets("BUCKETS"),
        anchor_tsa=read.text("ANCHOR_TSA"),
        anchor_tsa_roots=read.text("ANCHOR_TSA_ROOTS"),
        anchor_witnesses=read.text("ANCHOR_WITNESSES"),
        anchor_minutes=read.number("ANCHOR_MINUTES", 60),
        siem=read.secret("SIEM"),
        siem_authorization=read.secret("SIEM_AUTHORIZATION"),
        siem_types=tuple(filter(None, read.text("SIEM_TYPES", "*").split(","))),
    )
    if production:
        _require_production(configuration)
    return configuration


def _require_production(configuration: Configuration) -> None:
    if len(configuration.secret_key) < 50 or configuration.secret_key.startswith("insecure"):
        raise ConfigurationError(
            "COUNTERSIGN_SECRET_KEY: production needs a random key of 50 characters or more; make one "
            "with: python -c 'import secrets; print(secrets.token_urlsafe(64))'"
        )
    if configuration.database_url.startswith("sqlite"):
        raise ConfigurationError("COUNTERSIGN_DATABASE_URL: production needs a postgresql:// URL")
    if configuration.broker_url.startswith("sqla"):
        raise ConfigurationError(
            "COUNTERSIGN_BROKER_URL: production needs a redis:// or amqp:// URL"
        )


def _embedded_secret(data_dir: Path) -> str:
    path = data_dir / "keys" / "secret-key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        # Written aside and linked, so that two processes that start at once read one whole key.
        aside = path.with_name(f"secret-key.{secrets.token_hex(4)}")
        aside.touch(mode=0o600)
        aside.write_text(secrets.token_urlsafe(64))
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(aside)
        aside.unlink()
    return path.read_text()
