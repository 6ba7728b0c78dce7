"""Sensitive attributes that the data do not hold: estimated by a proxy, or not collected."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from kernel.errors import Invalid
from monitoring.engine.documents import Fields
from monitoring.engine.results import BETWEEN

MEASURED, PROXIED, NOT_COLLECTED = "measured", "proxied", "not_collected"
STATES = (MEASURED, PROXIED, NOT_COLLECTED)


@dataclass(frozen=True)
class ProxiedAttribute:
    """An attribute whose groups are known as probabilities, each in a column of its own.

    `version` is the id of the registered model version that made them; `columns` are pairs of group
    and column, in the order of the groups' names.
    """

    name: str
    version: str
    columns: tuple[tuple[str, str], ...]

    @classmethod
    def from_json(cls, value: Mapping[str, Any], path: str) -> "ProxiedAttribute":
        fields = Fields(value, path, ("name", "state", "proxy"))
        proxy = Fields(fields.raw("proxy"), fields.name("proxy"), ("version", "columns"))
        try:
            version = str(UUID(proxy.text("version")))
        except ValueError as error:
            raise Invalid(
                "expected the id of a registered model version", field=proxy.name("version")
            ) from error
        columns = proxy.mapping("columns")
        if not columns or not all(isinstance(one, str) and one for one in columns.values()):
            raise Invalid(
                "expected a column of probabilities for each group", field=proxy.name("columns")
            )
        if BETWEEN in columns:
            raise Invalid("* stands for the comparison between groups", field=proxy.name("columns"))
        if len(set(columns.values())) != len(columns):
            raise Invalid("names a column twice", field=proxy.name("columns"))
        return cls(fields.text("name"), version, tuple(sorted(columns.items())))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "state": PROXIED,
            "proxy": {"version": self.version, "columns": dict(self.columns)},
        }


@dataclass(frozen=True)
class NotCollected:
    """An attribute that nobody is asked for. `declaration` is the id of what a person signed, with
    its end; None if nobody did, or the end has passed."""

    name: str
    declaration: str | None = None
    until: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any], path: str) -> "NotCollected":
        fields = Fields(value, path, ("name", "state", "declaration", "until"))
        return cls(
            fields.text("name"),
            fields.optional_text("declaration"),
            fields.optional_text("until"),
        )

    def to_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"name": self.name, "state": NOT_COLLECTED}
        if self.declaration is not None:
            found |= {"declaration": self.declaration, "until": self.until}
        return found


def refuse_crossing(
    names: Sequence[str], proxied: Collection[str], absent: Collection[str], field: str
) -> None:
    """May these attributes make groups together? An estimated one may be crossed with measured ones.

    Raises:
        Invalid: one is not collected, or two are estimated.
    """
    unknown = [name for name in names if name in absent]
    if unknown and len(names) > 1:
        raise Invalid(
            f"{unknown[0]} is not collected: nobody knows how it goes with another attribute",
            field=field,
        )
    estimated = [name for name in names if name in proxied]
    if len(estimated) > 1:
        raise Invalid(
            f"{' and '.join(estimated)} are both estimated: their groups together need joint "
            "probabilities, which no column holds",
            field=field,
        )


def state_of(value: object, path: str) -> str:
    """The state that an entry of the mapping is in.

    Raises:
        Invalid: it is none of the three.
    """
    found = value.get("state", MEASURED) if isinstance(value, Mapping) else MEASURED
    if found not in STATES:
        raise Invalid(f"expected one of {', '.join(STATES)}", field=f"{path}.state")
    return str(found)
