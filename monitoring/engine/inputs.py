"""How rows become a model's input: a declared document, pinned with the version. No code in it."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kernel.errors import Invalid
from monitoring.engine.documents import Fields

KINDS = ("numeric", "codes", "one_hot")
OUTPUTS = ("probability", "number")


@dataclass(frozen=True)
class Feature:
    """One column and its place in the model's input.

    `numeric` is passed as it is; `codes` turns a category into the number declared for it;
    `one_hot` makes one 0/1 input for each category, in order. `missing` is the number given for a
    missing value, None for "not a number", which tree models read as missing. `unseen` is the code
    of a category that was not declared; without it such a value counts as missing. With one-hot
    both give only zeros.
    """

    column: str
    kind: str = "numeric"
    categories: tuple[str, ...] = ()
    codes: tuple[float, ...] = ()
    missing: float | None = None
    unseen: float | None = None

    @classmethod
    def from_json(cls, value: object, path: str) -> "Feature":
        fields = Fields(value, path, ("column", "kind", "categories", "missing", "unseen"))
        column, kind = fields.text("column"), fields.choice("kind", KINDS, "numeric")
        categories, codes = _categories(fields, kind)
        missing = fields.number("missing", None) if fields.has("missing") else None
        unseen = fields.number("unseen", None) if fields.has("unseen") else None
        if kind == "one_hot" and (missing is not None or unseen is not None):
            raise Invalid("one-hot inputs have no code for missing or unseen", field=path)
        return cls(column, kind, categories, codes, missing, unseen)

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"column": self.column, "kind": self.kind}
        if self.kind == "codes":
            value["categories"] = dict(zip(self.categories, self.codes, strict=True))
        if self.kind == "one_hot":
            value["categories"] = list(self.categories)
        if self.missing is not None:
            value["missing"] = self.missing
        if self.unseen is not None:
            value["unseen"] = self.unseen
        return value

    def names(self) -> tuple[str, ...]:
        """The names of the model inputs that this column makes."""
        if self.kind == "one_hot":
            return tuple(f"{self.column}={category}" for category in self.categories)
        return (self.column,)


def _categories(fields: Fields, kind: str) -> tuple[tuple[str, ...], tuple[float, ...]]:
    where = fields.name("categories")
    if kind == "numeric":
        if fields.has("categories"):
            raise Invalid("a numeric feature has no categories", field=where)
        return (), ()
    if kind == "one_hot":
        categories = fields.texts("categories")
        if not categories:
            raise Invalid("expected the list of categories", field=where)
        return categories, ()
    declared = fields.mapping("categories")
    if not declared:
        raise Invalid("expected an object of category to number", field=where)
    for category, code in declared.items():
        if isinstance(code, bool) or not isinstance(code, int | float):
            raise Invalid("expected a number", field=f"{where}.{category}")
    return tuple(declared), tuple(float(code) for code in declared.values())


@dataclass(frozen=True)
class InputSpec:
    """The model's inputs in order, and how its output becomes a decision.

    The score is the probability of the positive class: output `positive_index` if the model gives
    one for each class, else its only output. A row is selected if its score is at least
    `threshold`. With `output` "number" the model is a regression: its only output is the answer.
    """

    features: tuple[Feature, ...]
    threshold: float = 0.5
    positive_index: int = 1
    output: str = OUTPUTS[0]

    @classmethod
    def from_json(cls, value: object, path: str = "input_spec") -> "InputSpec":
        """Read a document.

        Raises:
            Invalid: naming the field.
        """
        fields = Fields(
            value, path, ("schema", "features", "threshold", "positive_index", "output")
        )
        fields.choice("schema", (SCHEMA,), SCHEMA)
        features = tuple(
            Feature.from_json(one, f"{fields.name('features')}[{index}]")
            for index, one in enumerate(fields.items("features"))
        )
        if not features:
            raise Invalid("expected at least one feature", field=fields.name("features"))
        if len({one.column for one in features}) != len(features):
            raise Invalid("names a column twice", field=fields.name("features"))
        return cls(
            features,
            fields.number("threshold", 0.5, above=0, to=1),
            fields.whole("positive_index", 1, most=1_000),
            fields.choice("output", OUTPUTS, OUTPUTS[0]),
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "features": [one.to_json() for one in self.features],
            "threshold": self.threshold,
            "positive_index": self.positive_index,
            **({} if self.output == OUTPUTS[0] else {"output": self.output}),
        }

    @property
    def digest(self) -> str:
        data = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()
        return hashlib.sha256(data).hexdigest()

    @property
    def gives_number(self) -> bool:
        return self.output == "number"

    def columns(self) -> tuple[str, ...]:
        return tuple(one.column for one in self.features)

    def names(self) -> tuple[str, ...]:
        return tuple(name for one in self.features for name in one.names())

    def types(self) -> dict[str, str]:
        """The type of each column that the model is fed: for columns without any value."""
        return {
            one.column: "float64" if one.kind == "numeric" else "string" for one in self.features
        }

    def check(self, schema: Mapping[str, str]) -> None:
        """Compare with the data's columns.

        Raises:
            Invalid: naming each feature whose column is missing or of another kind.
        """
        errors = {}
        for index, one in enumerate(self.features):
            where = f"input_spec.features[{index}]"
            kind = schema.get(one.column)
            if kind is None:
                errors[where] = f"the data has no column {one.column!r}"
            elif one.kind == "numeric" and kind not in ("numeric", "boolean"):
                errors[where] = f"column {one.column!r} is {kind}, expected numeric"
            elif one.kind != "numeric" and kind not in ("text", "numeric", "boolean"):
                errors[where] = f"column {one.column!r} is {kind}, expected text"
        if errors:
            raise Invalid.many(errors)


SCHEMA = "countersign.input/1"


def encode(spec: InputSpec, batch: Any) -> Any:
    """Turn an Arrow record batch into the model's input, float32, shape (rows, inputs)."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    matrix = np.empty((batch.num_rows, len(spec.names())), np.float32)
    place = 0
    for one in spec.features:
        column = batch.column(one.column)
        width = len(one.names())
        if one.kind == "numeric":
            numbers = pc.cast(column, pa.float64()).to_numpy(zero_copy_only=False)
            if one.missing is not None:
                numbers = np.where(np.isnan(numbers), one.missing, numbers)
            matrix[:, place] = numbers
        else:
            found = pc.index_in(pc.cast(column, pa.string()), pa.array(one.categories))
            at = pc.fill_null(found, -1).to_numpy(zero_copy_only=False)
            if one.kind == "one_hot":
                matrix[:, place : place + width] = at[:, None] == np.arange(width)
            else:
                missing = np.nan if one.missing is None else one.missing
                unseen = missing if one.unseen is None else one.unseen
                absent = pc.is_null(column).to_numpy(zero_copy_only=False)
                known = np.append(np.asarray(one.codes), unseen)[at]
                matrix[:, place] = np.where(absent, missing, known)
        place += width
    return matrix
