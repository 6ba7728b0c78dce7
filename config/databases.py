"""Database URLs as Django settings: SQLite for the embedded mode, PostgreSQL for production."""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from kernel.conf import ConfigurationError

# WAL lets pages be read during a write; FULL keeps the last second of an audit log through a power cut.
_SQLITE_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"


def database(url: str) -> dict[str, Any]:
    """Return Django's settings for `sqlite:///path` or `postgresql://user:password@host:port/name`.

    Raises:
        ConfigurationError: for any other scheme.
    """
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return {
            "ENGINE": "kernel.sqlite",
            "NAME": url.removeprefix("sqlite:///"),
            # A deferred transaction that reads and then writes fails at once when another wrote.
            "OPTIONS": {
                "transaction_mode": "IMMEDIATE",
                "timeout": 20,
                "init_command": _SQLITE_PRAGMAS,
            },
        }
    if parts.scheme in {"postgres", "postgresql"}:
        options = dict(parse_qsl(parts.query))
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": unquote(parts.path.lstrip("/")),
            "USER": unquote(parts.username or ""),
            "PASSWORD": unquote(parts.password or ""),
            "HOST": options.pop("host", "") or parts.hostname or "",
            "PORT": str(parts.port or ""),
            "CONN_MAX_AGE": 60,
            "CONN_HEALTH_CHECKS": True,
            "OPTIONS": options,
        }
    raise ConfigurationError(
        "COUNTERSIGN_DATABASE_URL: expected sqlite:///path or postgresql://user:password@host/name"
    )
