"""Rules that a dataset is declared to keep: data, never code. Pure and light.

A rule is a JSON object:

    {"column": "age", "rule": "between", "least": 18, "most": 110, "least_share": 0.99}

| rule               | further fields                          | a row keeps it if                      |
|--------------------|-----------------------------------------|----------------------------------------|
| `not_null`         |                                         | the value is there (NaN is not)        |
| `between`          | `least`, `most` (one or both)           | it lies there, ends included           |
| `in`               | `values`                                | it is one of them                      |
| `matches`          | `pattern` (RE2)                         | all of its text matches                |
| `unique`           |                                         | no other row has it                    |
| `less_than_column` | `other`, `or_equal` (false)             | it is less than the other column's     |

Rows without a value are left out of all but `not_null`, where they are the rows in question.
`name` is what the rule is called, by default `<column> <rule>`; `least_share` (1) the share of rows
that must keep it.
"""

from dataclasses import dataclass
from typing import Any, Final

from kernel.errors import Invalid
from monitoring.engine.documents import Fields, scalar
from monitoring.engine.sources.filters import instant

RULES: Final = ("not_null", "between", "in", "matches", "unique", "less_than_column")
MOST_RULES: Final = 200
MOST_VALUES: Final = 1_000
_OWN: Final[dict[str, tuple[str, ...]]] = {
    "not_null": (),
    "between": ("least", "most"),
    "in": ("values",),
    "matches": ("pattern",),
    "unique": (),
    "less_than_column": ("other", "or_equal"),
}
_NAMES: Final = ("name", "column", "rule", "least_share")
Scalar = str | int | float | bool


@dataclass(frozen=True)
class DataRule:
    name: str
    column: str
    rule: str
    least_share: float = 1.0
    least: Scalar | None = None
    most: Scalar | None = None
    values: tuple[Scalar, ...] = ()
    pattern: str = ""
    other: str = ""
    or_equal: bool = False

    def to_json(self) -> dict[str, Any]:
        own = {name: getattr(self, name) for name in _OWN[self.rule]}
        if "values" in own:
            own["values"] = list(self.values)
        return {
            "name": self.name,
            "column": self.column,
            "rule": self.rule,
            "least_share": self.least_share,
            **{name: value for name, value in own.items() if value is not None},
        }

    def columns(self) -> tuple[str, ...]:
        return (self.column, self.other) if self.other else (self.column,)


def read_rules(value: object, path: str = "config.rules") -> tuple[DataRule, ...]:
    """Read the rules of a dataset.

    Raises:
        Invalid: naming the field, as `config.rules[0].pattern`; also if two have one name.
    """
    if not isinstance(value, list | tuple) or len(value) > MOST_RULES:
        raise Invalid(f"expected a list of up to {MOST_RULES} rules", field=path)
    rules = tuple(_read(one, f"{path}[{index}]") for index, one in enumerate(value))
    seen: set[str] = set()
    for index, rule in enumerate(rules):
        if rule.name in seen:
            raise Invalid(f"two rules are called {rule.name!r}", field=f"{path}[{index}].name")
        seen.add(rule.name)
    return rules


def _read(value: object, path: str) -> DataRule:
    kind = value.get("rule") if isinstance(value, dict) else None
    own = _OWN.get(kind, ()) if isinstance(kind, str) else ()
    fields = Fields(value, path, (*_NAMES, *own))
    rule, column = fields.choice("rule", RULES), fields.text("column")
    name = fields.text("name", f"{column} {rule}")
    if len(name) > 200:
        raise Invalid("expected at most 200 characters", field=fields.name("name"))
    found = DataRule(
        name=name,
        column=column,
        rule=rule,
        least_share=fields.number("least_share", 1.0, above=0, to=1),
        least=_bound(fields, "least", own),
        most=_bound(fields, "most", own),
        values=_values(fields) if rule == "in" else (),
        pattern=_pattern(fields) if rule == "matches" else "",
        other=fields.text("other") if rule == "less_than_column" else "",
        or_equal=fields.flag("or_equal", False) if rule == "less_than_column" else False,
    )
    if rule == "between" and found.least is None and found.most is None:
        raise Invalid("give least, most or both", field=path)
    _check_ends(found, fields)
    if found.other == found.column:
        raise Invalid("expected another column", field=fields.name("other"))
    return found


def _check_ends(rule: DataRule, fields: Fields) -> None:
    """Raises Invalid unless there may be values between the ends."""
    least, most = rule.least, rule.most
    if least is None or most is None:
        return
    if isinstance(least, str) != isinstance(most, str):
        kind = "text" if isinstance(least, str) else "number"
        raise Invalid(f"expected a {kind}, as least is", field=fields.name("most"))
    if least > most and not _rising_instants(least, most):  # type: ignore[operator]
        raise Invalid("less than least: no value lies between", field=fields.name("most"))


def _rising_instants(least: Scalar, most: Scalar) -> bool:
    """Are both instants, and rise whatever their texts do?"""
    try:
        return instant(least, "") <= instant(most, "")
    except Invalid:
        return False


def _bound(fields: Fields, name: str, own: tuple[str, ...]) -> Scalar | None:
    if name not in own or not fields.has(name):
        return None
    value = scalar(fields.raw(name), fields.name(name))
    if isinstance(value, bool):
        raise Invalid("expected a number or a text", field=fields.name(name))
    return value


def _values(fields: Fields) -> tuple[Scalar, ...]:
    where = fields.name("values")
    given = fields.items("values")
    if not given or len(given) > MOST_VALUES:
        raise Invalid(f"expected a list of 1 to {MOST_VALUES} values", field=where)
    values = tuple(scalar(one, f"{where}[{index}]") for index, one in enumerate(given))
    kinds = {"text" if isinstance(one, str) else type(one) is bool for one in values}
    if len(kinds) > 1:
        raise Invalid("expected values of one kind", field=where)
    return values


def _pattern(fields: Fields) -> str:
    pattern = fields.text("pattern")
    if len(pattern) > 500 or "\x00" in pattern:
        raise Invalid("expected a pattern of up to 500 characters", field=fields.name("pattern"))
    return pattern
