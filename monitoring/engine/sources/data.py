"""Where a dataset's rows are: in a file known by its digest, or in a table of a named source."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kernel.errors import Invalid
from kernel.identifiers import parse_digest
from monitoring.engine.documents import Fields
from monitoring.engine.sources.filters import Filter
from registry.sources.catalogue import Relation

FORMATS = ("parquet", "csv")
DIGESTS_OF = ("rows", "relation")


@dataclass(frozen=True)
class DataFile:
    """A dataset's file: where its bytes are, their SHA-256, and which rows of it are meant.

    A file says nothing of the type of a column without any value, or takes it for text: `declared` are
    the types, by column, that it is then read as. `is_own` says that the service wrote it, with columns
    of its own; nobody says so of a file that was handed in.
    """

    path: Path
    digest: str
    format: str = "parquet"
    filters: tuple[Filter, ...] = ()
    declared: Mapping[str, str] = field(default_factory=dict, compare=False)
    is_own: bool = False
    pinned = True

    @classmethod
    def from_json(cls, value: object, path: str) -> "DataFile":
        fields = Fields(value, path, ("path", "digest", "format", "filters"))
        return cls(
            path=Path(fields.text("path")),
            digest=parse_digest(fields.raw("digest"), fields.name("digest")),
            format=fields.choice("format", FORMATS, "parquet"),
            filters=Filter.all_from_json(fields),
        )

    def to_json(self) -> dict[str, Any]:
        return {"path": str(self.path), **self.identity(), "format": self.format}

    def identity(self) -> dict[str, Any]:
        """What the rows are, wherever the bytes lie."""
        return {"digest": self.digest, "filters": [one.to_json() for one in self.filters]}


@dataclass(frozen=True)
class DataTable:
    """A dataset's table or query in a named source.

    `digest` is of its rows (`digest_of` "rows", see `registry.sources.rowdigest`), which the engine
    computes again before it counts; or of what it is called alone ("relation"), and then nobody can
    say later which rows were there. `query_digest` is the SHA-256 of a query's text.
    """

    relation: Relation
    digest: str
    digest_of: str = "rows"
    query_digest: str | None = None
    filters: tuple[Filter, ...] = ()

    @property
    def pinned(self) -> bool:
        """Whether the digest pins the rows."""
        return self.digest_of == "rows"

    @classmethod
    def from_json(cls, value: object, path: str) -> "DataTable":
        names = ("source", "table", "query", "query_digest", "digest", "digest_of", "filters")
        fields = Fields(value, path, names)
        relation = Relation(
            fields.text("source"), fields.optional_text("table"), fields.optional_text("query")
        )
        if (relation.table is None) == (relation.query is None):
            raise Invalid("give either a table or the name of a query", field=fields.name("table"))
        text = fields.optional_text("query_digest")
        return cls(
            relation,
            digest=parse_digest(fields.raw("digest"), fields.name("digest")),
            digest_of=fields.choice("digest_of", DIGESTS_OF, "rows"),
            query_digest=parse_digest(text, fields.name("query_digest")) if text else None,
            filters=Filter.all_from_json(fields),
        )

    def to_json(self) -> dict[str, Any]:
        return self.identity()

    def identity(self) -> dict[str, Any]:
        """What the rows are."""
        pinned = {"query_digest": self.query_digest} if self.query_digest else {}
        return {
            "digest": self.digest,
            "digest_of": self.digest_of,
            **self.relation.to_json(),
            **pinned,
            "filters": [one.to_json() for one in self.filters],
        }


Data = DataFile | DataTable


def data_from_json(value: object, path: str) -> Data:
    """Read a dataset of a job: a table if it names a source, else a file.

    Raises:
        Invalid: naming the field.
    """
    if isinstance(value, dict) and "source" in value:
        return DataTable.from_json(value, path)
    return DataFile.from_json(value, path)
