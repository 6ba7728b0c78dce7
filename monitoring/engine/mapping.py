"""Which column of the data means what, declared once for a model."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.documents import Fields, scalar
from monitoring.engine.results import BETWEEN
from monitoring.engine.unmeasured import (
    MEASURED,
    NOT_COLLECTED,
    PROXIED,
    NotCollected,
    ProxiedAttribute,
    state_of,
)

Scalar = str | int | float | bool
UNKNOWN = "unknown"
TASKS = ("classification", "regression")


@dataclass(frozen=True)
class SensitiveAttribute:
    """An attribute by which people are compared.

    A numeric column needs `edges`: `(40, 65)` makes the groups `under 40`, `40 to under 65` and
    `65 and over`. A missing value is the group `unknown`.
    """

    name: str
    column: str
    edges: tuple[float, ...] = ()

    @classmethod
    def from_json(cls, value: object, path: str) -> "SensitiveAttribute":
        if isinstance(value, str):
            value = {"name": value}
        fields = Fields(value, path, ("name", "column", "edges"))
        name = fields.text("name")
        edges = tuple(fields.items("edges"))
        if any(isinstance(edge, bool) or not isinstance(edge, int | float) for edge in edges):
            raise Invalid("expected a list of numbers", field=fields.name("edges"))
        if any(low >= high for low, high in pairwise(edges)):
            raise Invalid("edges must rise", field=fields.name("edges"))
        return cls(name, fields.text("column", name), edges)

    def to_json(self) -> dict[str, Any]:
        return {"name": self.name, "column": self.column, "edges": list(self.edges)}

    def groups(self) -> tuple[str, ...]:
        """The names of the groups that `edges` make, lowest first; empty without edges."""
        if not self.edges:
            return ()
        named = [_short(edge) for edge in self.edges]
        between = [f"{low} to under {high}" for low, high in pairwise(named)]
        return (f"under {named[0]}", *between, f"{named[-1]} and over")


@dataclass(frozen=True)
class ColumnMapping:
    """The columns of a model's data.

    `label` equals `positive` for a positive outcome; so does `prediction` (a decision) unless
    `positive_prediction` says otherwise. `score` is a probability from 0 to 1. `features` are the
    columns that drift and data quality look at; `categorical` names those of them whose values are
    categories. Only for these may single values be kept. `controls` are columns in whose strata
    groups may be compared: people of one level of education, or of one region. With `task`
    "regression" label and prediction are numbers, and `positive` means nothing.

    In JSON `sensitive` also lists attributes that the data do not hold, each with its `state`; here
    they stand apart, as `proxied` and `not_collected`.
    """

    label: str | None = None
    positive: Scalar = True
    prediction: str | None = None
    positive_prediction: Scalar | None = None
    score: str | None = None
    time: str | None = None
    sensitive: tuple[SensitiveAttribute, ...] = ()
    features: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    task: str = "classification"
    controls: tuple[SensitiveAttribute, ...] = ()
    proxied: tuple[ProxiedAttribute, ...] = ()
    not_collected: tuple[NotCollected, ...] = ()

    @classmethod
    def from_json(cls, value: object, path: str = "mapping") -> "ColumnMapping":
        """Read a mapping.

        Raises:
            Invalid: naming the field.
        """
        names = ("label", "positive", "prediction", "positive_prediction", "score", "time")
        fields = Fields(
            value, path, (*names, "sensitive", "controls", "features", "categorical", "task")
        )
        positive: Scalar = True
        if fields.has("positive"):
            positive = scalar(fields.raw("positive"), fields.name("positive"))
        decided: Scalar | None = None
        if fields.has("positive_prediction"):
            decided = scalar(fields.raw("positive_prediction"), fields.name("positive_prediction"))
        sensitive = _attributes(fields, "sensitive")
        proxied, absent = _unmeasured(fields)
        names_taken = [
            *(one.name for one in sensitive),
            *(one.name for one in proxied),
            *(one.name for one in absent),
        ]
        if len(set(names_taken)) != len(names_taken):
            raise Invalid("names an attribute twice", field=fields.name("sensitive"))
        controls = _attributes(fields, "controls", names_taken)
        features, categorical = fields.texts("features"), fields.texts("categorical")
        if BETWEEN in features:
            where = f"{fields.name('features')}[{features.index(BETWEEN)}]"
            raise Invalid("* stands for all columns together: rename the column", field=where)
        stray = sorted(set(categorical) - set(features))
        if stray:
            raise Invalid(f"{stray[0]} is not among the features", field=fields.name("categorical"))
        return cls(
            label=fields.optional_text("label"),
            positive=positive,
            prediction=fields.optional_text("prediction"),
            positive_prediction=decided,
            score=fields.optional_text("score"),
            time=fields.optional_text("time"),
            sensitive=sensitive,
            controls=controls,
            features=features,
            categorical=categorical,
            task=fields.choice("task", TASKS, "classification"),
            proxied=proxied,
            not_collected=absent,
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "label": self.label,
            "positive": self.positive,
            "prediction": self.prediction,
            "positive_prediction": self.positive_prediction,
            "score": self.score,
            "time": self.time,
            "sensitive": [
                *(one.to_json() for one in self.sensitive),
                *(one.to_json() for one in self.proxied),
                *(one.to_json() for one in self.not_collected),
            ],
            "features": list(self.features),
            "categorical": list(self.categorical),
            **({} if self.task == "classification" else {"task": self.task}),
            **({"controls": [one.to_json() for one in self.controls]} if self.controls else {}),
        }

    def types(self) -> dict[str, str]:
        """The type that each column has, by what it means: for columns without any value."""
        numbers = self.task == "regression"
        decided = self.positive if self.positive_prediction is None else self.positive_prediction
        found = {
            self.score: "float64",
            self.time: "timestamp",
            self.prediction: "float64" if numbers else _type_of(decided),
            self.label: "float64" if numbers else _type_of(self.positive),
        }
        for attribute in (*self.sensitive, *self.controls):
            found.setdefault(attribute.column, "float64" if attribute.edges else "string")
        for proxied in self.proxied:
            for _, column in proxied.columns:
                found.setdefault(column, "float64")
        for feature in self.features:
            found.setdefault(feature, "string" if feature in self.categorical else "float64")
        return {name: type_ for name, type_ in found.items() if name is not None}

    def check(self, schema: Mapping[str, str]) -> None:
        """Compare with the data's columns, `{name: kind}` as `sources.kind_of` gives them.

        Raises:
            Invalid: naming each field whose column is missing or of a kind it cannot have.
        """
        errors: dict[str, str] = {}

        def need(field: str, column: str | None, kinds: tuple[str, ...] = ()) -> None:
            if column is None:
                return
            if column not in schema:
                errors[field] = f"the data has no column {column!r}"
            elif kinds and schema[column] not in kinds:
                errors[field] = f"column {column!r} is {schema[column]}, expected {kinds[0]}"

        for name in ("label", "prediction"):
            column = getattr(self, name)
            if self.task == "regression":
                need(f"mapping.{name}", column, ("numeric",))
                continue
            need(f"mapping.{name}", column)
            wanted = self.positive
            if name == "prediction" and self.positive_prediction is not None:
                wanted = self.positive_prediction
            if column in schema and not _comparable(schema[column], wanted):
                errors[f"mapping.{name}"] = (
                    f"column {column!r} is {schema[column]}, which never equals {wanted!r}"
                )
        need("mapping.score", self.score, ("numeric",))
        need("mapping.time", self.time, ("time", "text", "numeric"))
        for name in ("sensitive", "controls"):
            for index, attribute in enumerate(getattr(self, name)):
                valued = ("numeric",) if attribute.edges else ("text", "boolean", "numeric")
                need(f"mapping.{name}[{index}]", attribute.column, valued)
        for proxied in self.proxied:
            for group, column in proxied.columns:
                need(f"mapping.sensitive.{proxied.name}.{group}", column, ("numeric",))
        for index, feature in enumerate(self.features):
            named = ("text", "boolean", "numeric", "time")
            need(
                f"mapping.features[{index}]",
                feature,
                named if feature in self.categorical else ("numeric", "boolean"),
            )
        for field, reason in self._used_twice():
            errors.setdefault(field, reason)
        if errors:
            raise Invalid.many(errors)

    def _used_twice(self) -> Iterator[tuple[str, str]]:
        """Columns with two meanings that exclude each other, by the field of the second.

        A sensitive attribute may be a feature; that it is no input is a control's to say.
        """
        taken: dict[str, str] = {}
        for name in ("label", "prediction", "score", "time"):
            column = getattr(self, name)
            if column is None:
                continue
            if column in taken:
                yield f"mapping.{name}", f"column {column!r} is the {taken[column]} already"
            taken.setdefault(column, name)
        for field, column in (
            *((f"mapping.features[{at}]", one) for at, one in enumerate(self.features)),
            *((f"mapping.sensitive[{at}]", one.column) for at, one in enumerate(self.sensitive)),
        ):
            if taken.get(column, "time") != "time":
                yield field, f"column {column!r} is the {taken[column]}"


def _short(edge: float) -> str:
    """Six digits where they tell the number, else all: two edges never share a name."""
    short = f"{edge:g}"
    return short if float(short) == edge else repr(edge)


def _attributes(
    fields: Fields, name: str, taken: Collection[str] = ()
) -> tuple[SensitiveAttribute, ...]:
    """The attributes of a list, each with a name of its own."""
    found = tuple(
        SensitiveAttribute.from_json(_stateless(one), f"{fields.name(name)}[{index}]")
        for index, one in enumerate(fields.items(name))
        if name != "sensitive" or state_of(one, f"{fields.name(name)}[{index}]") == MEASURED
    )
    names = [one.name for one in found]
    if len(set(names)) != len(names):
        raise Invalid("names an attribute twice", field=fields.name(name))
    for index, one in enumerate(names):
        if one in taken:
            raise Invalid(
                f"{one!r} is a sensitive attribute already", field=f"{fields.name(name)}[{index}]"
            )
    return found


def _stateless(value: object) -> object:
    if isinstance(value, Mapping) and value.get("state") == MEASURED:
        return {name: one for name, one in value.items() if name != "state"}
    return value


def _unmeasured(
    fields: Fields,
) -> tuple[tuple[ProxiedAttribute, ...], tuple[NotCollected, ...]]:
    """The sensitive attributes that the data do not hold."""
    proxied, absent = [], []
    for index, one in enumerate(fields.items("sensitive")):
        path = f"{fields.name('sensitive')}[{index}]"
        state = state_of(one, path)
        if state == PROXIED:
            proxied.append(ProxiedAttribute.from_json(one, path))
        elif state == NOT_COLLECTED:
            absent.append(NotCollected.from_json(one, path))
    return tuple(proxied), tuple(absent)


def _comparable(kind: str, value: Scalar) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if isinstance(value, str):
        return kind == "text"
    return kind == "numeric"


def _type_of(value: Scalar) -> str:
    """The type of a column that may equal the value."""
    if isinstance(value, bool):
        return "boolean"
    return "string" if isinstance(value, str) else "float64"
