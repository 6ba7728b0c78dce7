"""What is counted of a dataset before anything is measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from monitoring.engine.rules import DataRule

AHEAD: Final = timedelta(days=1)
"""How far after the request a row's time may be: clocks differ, and times without a zone."""


@dataclass(frozen=True)
class RuleCount:
    """Of `rows` rows that the rule is about, `kept` keep it."""

    rule: DataRule
    rows: int
    kept: int

    def to_json(self) -> dict[str, Any]:
        return {"rule": self.rule.to_json(), "rows": self.rows, "kept": self.kept}


@dataclass(frozen=True)
class Outside:
    """Of `rows` numbers, how many lie below and above those of the reference, if it has any."""

    rows: int
    below: int
    above: int
    ranged: bool


@dataclass(frozen=True)
class Facts:
    """Counts over a dataset, and beside a reference if there is one.

    `missing` and `distinct` are by column; `identity` the columns by which rows count as the same;
    `schema` and `reference_schema` map a column to its kind. `repeated_whole` counts rows all of
    whose columns repeat, where `identity` was declared; `newest` and `as_of` are RFC 3339. `newest` is not ahead of `as_of`
    by more than `AHEAD`, and `ahead` counts the rows that are.
    """

    rows: int
    missing: Mapping[str, int]
    distinct: Mapping[str, int | None]
    positives: int | None
    labelled: int | None
    identity: Sequence[str]
    repeated: int
    shared: int | None
    schema: Mapping[str, str]
    reference_schema: Mapping[str, str] | None
    reference_rows: int | None
    repeated_whole: int | None = None
    rules: Sequence[RuleCount] = ()
    outside: Mapping[str, Outside] = field(default_factory=dict)
    newest: str | None = None
    as_of: str | None = None
    timeless: int | None = None
    ahead: int | None = None

    def to_json(self) -> dict[str, Any]:
        return {
            **{name: getattr(self, name) for name in ("rows", "positives", "labelled")},
            "missing": dict(self.missing),
            "distinct": dict(self.distinct),
            "identity": list(self.identity),
            "repeated": self.repeated,
            "repeated_whole": self.repeated_whole,
            "shared": self.shared,
            "schema": dict(self.schema),
            "reference_schema": dict(self.reference_schema) if self.reference_schema else None,
            "reference_rows": self.reference_rows,
            "rules": [one.to_json() for one in self.rules],
            "outside": {name: dict(vars(one)) for name, one in self.outside.items()},
            "newest": self.newest,
            "as_of": self.as_of,
            "timeless": self.timeless,
            "ahead": self.ahead,
        }
