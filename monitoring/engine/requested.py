"""What a configuration may ask of explanations and of robustness, read with named errors. Light."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine.documents import Fields
from monitoring.engine.sources.filters import Filter

DECISIONS: Final = ("any", "positive", "negative")
DIRECTIONS: Final = ("against", "for", "either")
KINDS: Final = ("noise", "scale", "shift", "missing", "swap_category", "round")
EVERY: Final = "*"
MOST_SLICES: Final = 50
MOST_PERTURBATIONS: Final = 50
LONGEST: Final = 120


@dataclass(frozen=True)
class Slice:
    """A part of the rows that is looked at on its own, by name."""

    name: str
    filter: Filter


def slices(fields: Fields, key: str) -> tuple[Slice, ...]:
    """`[{"name", "column", "equals"} or {"name", "column", "least", "below"}]`."""
    found = []
    for index, value in enumerate(fields.items(key)):
        path = f"{fields.name(key)}[{index}]"
        own = Fields(value, path, ("name", "column", "equals", "least", "below"))
        if len(own.text("name")) > LONGEST:
            raise Invalid(f"a name has up to {LONGEST} characters", field=own.name("name"))
        rest = {name: one for name, one in dict(value).items() if name != "name"}
        found.append(Slice(own.text("name"), Filter.from_json(rest, path)))
    if len({one.name for one in found}) != len(found) or len(found) > MOST_SLICES:
        raise Invalid(
            f"expected up to {MOST_SLICES} slices of different names", field=fields.name(key)
        )
    return tuple(found)


@dataclass(frozen=True)
class Reasons:
    """Which rows reasons are wanted for, and how many of them.

    `direction` is which contributions count: `against` the positive class (for adverse action),
    `for` it, or `either`.
    """

    top: int = 4
    most: int = 200
    decision: str = "negative"
    direction: str = "against"
    filters: tuple[Filter, ...] = ()


def reasons(fields: Fields, key: str) -> Reasons | None:
    """`{"top", "most", "decision", "direction", "filters"}`, all of them optional; None if absent."""
    if fields.raw(key) is None:
        return None
    own = Fields(
        fields.raw(key), fields.name(key), ("top", "most", "decision", "direction", "filters")
    )
    return Reasons(
        own.whole("top", 4, least=1, most=50),
        own.whole("most", 200, least=1, most=20_000),
        own.choice("decision", DECISIONS, "negative"),
        own.choice("direction", DIRECTIONS, "against"),
        Filter.all_from_json(own),
    )


@dataclass(frozen=True)
class Perturbation:
    """One change of the inputs. `column` may be `*`: every column that the kind fits.

    noise          adds a normal error of `amount` standard deviations of the column, within the
                   range that the column has
    scale          multiplies by `amount`
    shift          adds `amount` standard deviations
    missing        takes away the values of a share `amount` of the rows
    swap_category  gives a share `amount` of the rows another of the declared categories
    round          keeps `amount` significant digits
    """

    name: str
    column: str
    kind: str
    amount: float

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "column": self.column,
            "kind": self.kind,
            "amount": self.amount,
        }

    @classmethod
    def from_json(cls, value: object, path: str) -> "Perturbation":
        fields = Fields(value, path, ("name", "column", "kind", "amount"))
        kind = fields.choice("kind", KINDS)
        column = fields.text("column", EVERY)
        low, high = _AMOUNTS[kind]
        amount = fields.number("amount", _USUAL[kind], above=low, to=high)
        if kind == "round" and amount != int(amount):
            raise Invalid("expected a whole number of digits", field=fields.name("amount"))
        # What is counted as one perturbation is known by its name alone.
        name = fields.text("name", f"{kind} {amount:g} of {_spoken(column)}"[:LONGEST])
        if len(name) > LONGEST or name == EVERY:
            raise Invalid(
                f"a name has up to {LONGEST} characters, and is not {EVERY}",
                field=fields.name("name"),
            )
        return cls(name, column, kind, amount)


_AMOUNTS: Final[Mapping[str, tuple[float, float]]] = {
    "noise": (0.0, 10.0),
    "scale": (-100.0, 100.0),
    "shift": (-10.0, 10.0),
    "missing": (0.0, 1.0),
    "swap_category": (0.0, 1.0),
    "round": (0.0, 15.0),
}
_USUAL: Final[Mapping[str, float]] = {
    "noise": 0.1,
    "scale": 1.05,
    "shift": 0.1,
    "missing": 0.05,
    "swap_category": 0.05,
    "round": 2.0,
}


def _spoken(column: str) -> str:
    return "all columns" if column == EVERY else column


def usual(has_numbers: bool, has_categories: bool) -> tuple[Perturbation, ...]:
    """What is tried if nothing is declared: small errors that any source of data may have."""
    fit = dict.fromkeys(KINDS, has_numbers) | {
        "swap_category": has_categories,
        "missing": True,
    }
    return tuple(
        Perturbation.from_json({"kind": kind}, "perturbations") for kind in KINDS if fit[kind]
    )


def perturbations(fields: Fields, key: str) -> tuple[Perturbation, ...]:
    """Those that are declared, each with a name of its own."""
    found = tuple(
        Perturbation.from_json(value, f"{fields.name(key)}[{index}]")
        for index, value in enumerate(fields.items(key))
    )
    if len({one.name for one in found}) != len(found) or len(found) > MOST_PERTURBATIONS:
        raise Invalid(
            f"expected up to {MOST_PERTURBATIONS} perturbations of different names",
            field=fields.name(key),
        )
    return found
