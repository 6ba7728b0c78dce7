"""The operator's file of sources: which databases checks may read, and what of them.

`COUNTERSIGN_SOURCES` names a TOML file:

    [sources.warehouse]
    url = "postgresql://reader:${WAREHOUSE_PASSWORD}@db.internal:5432/scoring"
    tables = ["public.applicants", "features.*"]
    timeout_seconds = 120

    [sources.warehouse.queries]
    applicants-2024 = "SELECT * FROM public.applicants WHERE year = 2024"

A user picks a name and a table or a query's name; URLs, secrets and SQL are the operator's alone.
A secret is written `${NAME}` and comes from the environment when a connection is made: from `NAME`,
or from the file that `NAME_FILE` names. The file is read anew for each use.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from kernel import canonical
from kernel.conf import ConfigurationError
from kernel.errors import Invalid, Unavailable

VARIABLE = "COUNTERSIGN_SOURCES"
TIMEOUT_SECONDS = 60
LONGEST_TIMEOUT = 24 * 3600
_NAME = re.compile(r"[a-z0-9][a-z0-9_\-]{0,62}")
_PART = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
_TABLE = re.compile(rf"{_PART}(\.{_PART}){{0,2}}")
_ALLOWED = re.compile(rf"{_PART}(\.{_PART}){{0,2}}|({_PART}\.){{1,2}}\*")
_SECRET = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_KNOWN = ("url", "title", "tables", "queries", "timeout_seconds")


@dataclass(frozen=True)
class Relation:
    """What of a source is meant: a table, or a query by its name. Exactly one of them."""

    source: str
    table: str | None = None
    query: str | None = None

    def __str__(self) -> str:
        return f"{self.source}: {self.table or self.query}"

    def to_json(self) -> dict[str, str]:
        named = {"table": self.table} if self.table else {"query": self.query or ""}
        return {"source": self.source, **named}


@dataclass(frozen=True)
class NamedSource:
    """A database by its name. `url` still has its secrets as `${NAME}`."""

    name: str
    url: str = field(repr=False)
    tables: tuple[str, ...] = ()
    queries: Mapping[str, str] = field(default_factory=dict, repr=False)
    title: str = ""
    timeout_seconds: int = TIMEOUT_SECONDS

    @property
    def backend(self) -> str:
        """The kind of database, as `postgresql` or `duckdb`."""
        return urlsplit(self.url).scheme

    def offers(self, table: str) -> bool:
        schema, dot, _ = table.rpartition(".")
        return table in self.tables or (bool(dot) and f"{schema}.*" in self.tables)

    def query_digest(self, query: str) -> str:
        return canonical.sha256_hex(self.queries[query].encode())

    def address(self, environ: Mapping[str, str]) -> str:
        """The URL with its secrets. Never log, store or show it.

        Raises:
            Unavailable: a secret is not in the environment; the message names the variable.
        """

        def secret(match: re.Match[str]) -> str:
            name = match.group(1)
            value = environ.get(name)
            if value is None and environ.get(f"{name}_FILE"):
                try:
                    value = Path(environ[f"{name}_FILE"]).read_text().strip()
                except OSError:
                    value = None
            if value is None:
                raise Unavailable(f"source {self.name} needs {name} in the service's environment")
            return quote(value, safe="")

        return _SECRET.sub(secret, self.url)

    def to_json(self) -> dict[str, Any]:
        """What a user may know of it."""
        return {
            "name": self.name,
            "title": self.title,
            "backend": self.backend,
            "tables": list(self.tables),
            "queries": sorted(self.queries),
        }


@dataclass(frozen=True)
class Catalogue:
    sources: Mapping[str, NamedSource] = field(default_factory=dict)

    def find(self, relation: Relation, path: str = "location") -> NamedSource:
        """The source of a relation, if it offers it.

        Raises:
            Invalid: naming the field: no such source, or one that does not offer the relation.
        """
        found = self.sources.get(relation.source)
        if found is None:
            raise Invalid(
                "there is no source of this name; " + _known("sources", self.sources),
                field=f"{path}.source",
            )
        if (relation.table is None) == (relation.query is None):
            raise Invalid("give either a table or the name of a query", field=f"{path}.table")
        if relation.table is not None and (
            not _TABLE.fullmatch(relation.table) or not found.offers(relation.table)
        ):
            raise Invalid(
                f"source {found.name} offers no table of this name; "
                + _known("tables", found.tables),
                field=f"{path}.table",
            )
        if relation.query is not None and relation.query not in found.queries:
            raise Invalid(
                f"source {found.name} has no query of this name; "
                + _known("queries", found.queries),
                field=f"{path}.query",
            )
        return found


def current(environ: Mapping[str, str] | None = None) -> Catalogue:
    """The sources as the operator's file says now.

    Raises:
        Unavailable: the file cannot be read as one; the system check `registry.E001` says why.
    """
    try:
        return load(os.environ if environ is None else environ)
    except ConfigurationError as error:
        raise Unavailable("the operator's file of sources cannot be read") from error


def load(environ: Mapping[str, str]) -> Catalogue:
    """Read the file that `COUNTERSIGN_SOURCES` names; without it there are no sources.

    Raises:
        ConfigurationError: saying what in it is malformed, and never a secret.
    """
    path = environ.get(VARIABLE)
    if not path:
        return Catalogue()
    try:
        document = tomllib.loads(Path(path).read_text())
    except OSError as error:
        raise ConfigurationError(f"{VARIABLE}: cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigurationError(f"{VARIABLE}: {path} is not TOML: {error}") from error
    return parse(document)


def parse(document: Mapping[str, Any]) -> Catalogue:
    """Read the document of a file of sources.

    Raises:
        ConfigurationError: naming the place.
    """
    if set(document) - {"sources"}:
        raise _wrong(sorted(set(document) - {"sources"})[0], "only [sources.<name>] is known")
    given = document.get("sources", {})
    if not isinstance(given, Mapping):
        raise _wrong("sources", "expected tables [sources.<name>]")
    return Catalogue({name: _source(name, one) for name, one in given.items()})


def _source(name: str, one: object) -> NamedSource:
    where = f"sources.{name}"
    if not _NAME.fullmatch(name):
        raise _wrong(where, "a name has lowercase letters, digits, hyphens and underscores")
    if not isinstance(one, Mapping):
        raise _wrong(where, "expected a table")
    for key in one:
        if key not in _KNOWN:
            raise _wrong(f"{where}.{key}", f"known are {', '.join(_KNOWN)}")
    url, title = one.get("url"), one.get("title", "")
    if not isinstance(url, str) or not urlsplit(url).scheme:
        raise _wrong(f"{where}.url", "expected a URL, as postgresql://user@host/database")
    password = urlsplit(_SECRET.sub("", url)).password
    if password:
        raise _wrong(f"{where}.url", "write the password as ${NAME}, a variable's name")
    tables = one.get("tables", [])
    if not isinstance(tables, list) or not all(
        isinstance(table, str) and _ALLOWED.fullmatch(table) for table in tables
    ):
        raise _wrong(f"{where}.tables", "expected a list of names, as schema.table or schema.*")
    queries = one.get("queries", {})
    if not isinstance(queries, Mapping):
        raise _wrong(f"{where}.queries", "expected a table of name to SQL")
    for query, text in queries.items():
        if not _NAME.fullmatch(query) or not isinstance(text, str) or not text.strip():
            raise _wrong(f"{where}.queries.{query}", "expected a name and its SQL")
    seconds = one.get("timeout_seconds", TIMEOUT_SECONDS)
    if not isinstance(seconds, int) or isinstance(seconds, bool):
        raise _wrong(f"{where}.timeout_seconds", "expected a whole number")
    if not 1 <= seconds <= LONGEST_TIMEOUT:
        raise _wrong(f"{where}.timeout_seconds", f"expected 1 to {LONGEST_TIMEOUT}")
    if not isinstance(title, str):
        raise _wrong(f"{where}.title", "expected a text")
    texts = {query: text.strip().rstrip(";") for query, text in queries.items()}
    return NamedSource(name, url, tuple(tables), texts, title, seconds)


def _known(what: str, names: Any) -> str:
    listed = ", ".join(sorted(names))
    return f"{what} are: {listed}" if listed else f"no {what} are set up"


def _wrong(where: str, why: str) -> ConfigurationError:
    return ConfigurationError(f"{VARIABLE}: {where}: {why}")
