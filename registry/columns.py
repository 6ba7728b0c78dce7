"""What the columns of a model's data mean, as it is declared: read strictly, kept whole.

Monitoring reads the same document; whether the columns exist is seen when data meets it.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any
from uuid import UUID

from kernel.canonical import is_number
from kernel.errors import Invalid

_TEXTS = ("label", "prediction", "score", "time")
_SCALARS = ("positive", "positive_prediction")
_LISTS = ("features", "categorical")
TASKS = ("classification", "regression")
MEASURED, PROXIED = "measured", "proxied"
STATES = {MEASURED: ("column", "edges"), PROXIED: ("proxy",), "not_collected": ()}
"""What an attribute in each state is described by, beside its name."""
KNOWN = (*_TEXTS, *_SCALARS, "sensitive", "controls", *_LISTS, "task")


def read(value: object, path: str = "columns") -> dict[str, Any]:
    """Return the mapping with only what was said.

    Raises:
        Invalid: naming each field that is unknown or not what it must be.
    """
    if not isinstance(value, dict):
        raise Invalid("expected an object", field=path)
    wrong: dict[str, str] = {
        f"{path}.{name}": f"unknown name; known are: {', '.join(KNOWN)}"
        for name in value
        if name not in KNOWN
    }
    said = {name: given for name, given in value.items() if given is not None}
    for name in _TEXTS:
        if name in said and not _is_text(said[name]):
            wrong[f"{path}.{name}"] = "expected the name of a column"
    for name in _SCALARS:
        if name in said and not (isinstance(said[name], str | bool) or is_number(said[name])):
            wrong[f"{path}.{name}"] = "expected a text, a number, true or false"
    for name in _LISTS:
        if name in said and not _is_names(said[name]):
            wrong[f"{path}.{name}"] = "expected a list of different column names"
    if said.get("task", TASKS[0]) not in TASKS:
        wrong[f"{path}.task"] = f"expected one of {', '.join(TASKS)}"
    for name, states in (("sensitive", tuple(STATES)), ("controls", (MEASURED,))):
        wrong |= _attributes(said.get(name, []), f"{path}.{name}", states)
    if not wrong and (stray := set(said.get("categorical", [])) - set(said.get("features", []))):
        wrong[f"{path}.categorical"] = f"{min(stray)} is not among the features"
    if not wrong and (both := _names(said, "sensitive") & _names(said, "controls")):
        wrong[f"{path}.controls"] = f"{min(both)} is a sensitive attribute already"
    if wrong:
        raise Invalid.many(wrong)
    return said


def _attributes(value: object, path: str, states: tuple[str, ...]) -> dict[str, str]:
    """What is wrong with a list of attributes, each in one of `states`."""
    if not isinstance(value, list):
        return {path: "expected a list"}
    wrong: dict[str, str] = {}
    names: list[object] = []
    for index, one in enumerate(value):
        here = f"{path}[{index}]"
        if isinstance(one, str):
            one = {"name": one}
        state = one.get("state", MEASURED) if isinstance(one, dict) else MEASURED
        if not isinstance(state, str) or state not in states:
            wrong[f"{here}.state"] = f"expected one of {', '.join(states)}"
            continue
        if not isinstance(one, dict) or set(one) - {"name", "state", *STATES[state]}:
            wrong[here] = (
                "expected a column name, or an object of name, column and edges; of name, state and "
                "proxy if it is proxied; of name and state if it is not collected"
            )
            continue
        names.append(one.get("name"))
        if not _is_text(one.get("name")):
            wrong[f"{here}.name"] = "expected the name of the attribute"
        if state == PROXIED:
            wrong |= _proxy(one.get("proxy"), f"{here}.proxy")
        if one.get("column") is not None and not _is_text(one["column"]):
            wrong[f"{here}.column"] = "expected the name of a column"
        edges = [] if one.get("edges") is None else one["edges"]
        if not (isinstance(edges, list) and all(is_number(edge) for edge in edges)) or any(
            low >= high for low, high in pairwise(edges)
        ):
            wrong[f"{here}.edges"] = "expected a list of rising numbers"
    if not wrong and len(set(names)) != len(names):
        wrong[path] = "names an attribute twice"
    return wrong


def _names(said: Mapping[str, Any], name: str) -> set[str]:
    return {one if isinstance(one, str) else one["name"] for one in said.get(name, [])}


def _proxy(value: object, path: str) -> dict[str, str]:
    if not isinstance(value, dict) or set(value) != {"version", "columns"}:
        return {path: "expected the id of a registered version, and a column for each group"}
    wrong = {}
    try:
        UUID(value["version"])
    except (ValueError, TypeError, AttributeError):
        wrong[f"{path}.version"] = "expected the id of a registered model version"
    columns = value["columns"]
    if not isinstance(columns, dict) or not columns or not _is_names(list(columns.values())):
        wrong[f"{path}.columns"] = "expected a column of probabilities for each group"
    return wrong


def proxies(columns: Mapping[str, Any], path: str = "columns") -> Iterator[tuple[str, UUID]]:
    """The versions that estimate groups, each with the field that names it."""
    for index, one in enumerate(columns.get("sensitive") or []):
        if isinstance(one, dict) and one.get("state") == PROXIED:
            yield f"{path}.sensitive[{index}].proxy.version", UUID(one["proxy"]["version"])


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_names(value: object) -> bool:
    return (
        isinstance(value, list)
        and all(_is_text(one) for one in value)
        and len(set(value)) == len(value)
    )
