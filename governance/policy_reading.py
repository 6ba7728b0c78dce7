"""Reading a policy's YAML: strictly, by the types of dataclass fields, with each problem's path."""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import yaml

from governance.controls.base import Control
from governance.controls.judging import KINDS, AllOf, AnyOf, Condition, Negation, Rule
from governance.controls.results import Mode
from kernel.canonical import is_number
from kernel.errors import Invalid

MAX_DEPTH = 6


class _Loader(yaml.SafeLoader):
    """Refuses doubled names and references, which a reader of the text would overlook."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise yaml.constructor.ConstructorError(
                None, None, "references (& and *) are not taken", event.start_mark
            )
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"'{key.value}' is given twice", key.start_mark
                )
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


def load(source: str) -> Any:
    try:
        document = yaml.load(source, Loader=_Loader)  # noqa: S506 (derives from SafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}" if mark is not None else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        raise Invalid(f"the YAML is wrong{where}: {problem}", field="source") from None
    if not isinstance(document, Mapping):
        raise Invalid("expected names and values at the top", field="source")
    return document


class Reader:
    """Reads values by the types of dataclass fields, and gathers every problem with its path."""

    def __init__(self, problems: dict[str, str]) -> None:
        self.problems = problems

    def wrong(self, path: str, detail: str) -> None:
        """Note a problem; the first one at a path is told."""
        self.problems.setdefault(path or "source", detail)

    def dataclass(
        self, kind: type[Any], value: object, path: str, given: Mapping[str, Any] | None = None
    ) -> Any:
        """Read an object into `kind`. `given` holds what was read otherwise."""
        given = given or {}
        if not isinstance(value, Mapping):
            return self.wrong(path, "expected names and values")
        hints = get_type_hints(kind)
        fields = {one.name: one for one in dataclasses.fields(kind)}
        taken = [name for name in fields if name not in given or name == "controls"]
        for name in value:
            if name not in taken:
                known = ", ".join(taken)
                self.wrong(join(path, name), f"unknown name; known are: {known}")
        found = dict(given)
        for name, one in fields.items():
            if name in given:
                continue
            if name in value:
                found[name] = self.value(hints[name], value[name], join(path, name), one.metadata)
            elif one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
                self.wrong(join(path, name), "is missing")
        if any(problem == path or problem.startswith(join(path, "")) for problem in self.problems):
            return None
        return kind(**found) if not (path == "" and self.problems) else None

    def value(self, hint: Any, value: object, path: str, bounds: Mapping[str, Any]) -> Any:
        """Read a value of a field's type; None, with the problem noted, if it is not one."""
        origin = get_origin(hint)
        if origin in (Union, types.UnionType):
            (hint,) = [part for part in get_args(hint) if part is not type(None)]
            return self.value(hint, value, path, bounds)
        if origin is Literal:
            if isinstance(value, bool) or value not in get_args(hint):
                known = ", ".join(str(choice) for choice in get_args(hint))
                self.wrong(path, f"expected one of: {known}")
            return value
        if origin is tuple:
            return self.items(get_args(hint)[0], value, path, bounds)
        if origin in (dict, Mapping, types.GenericAlias) or origin is _ABC_MAPPING:
            return self.mapping(get_args(hint)[1], value, path)
        if dataclasses.is_dataclass(hint):
            return self.dataclass(hint, value, path)  # type: ignore[arg-type]
        return self.scalar(hint, value, path, bounds)

    def scalar(self, hint: Any, value: object, path: str, bounds: Mapping[str, Any]) -> Any:
        expected, fits = _SCALARS[hint]
        if not fits(value):
            return self.wrong(path, f"expected {expected}")
        measure = len(value) if isinstance(value, str) else value
        least, most = bounds.get("least"), bounds.get("most")
        if isinstance(value, str) and not value.strip() and least:
            self.wrong(path, "is empty")
        elif not isinstance(value, bool) and (
            (least is not None and measure < least) or (most is not None and measure > most)
        ):
            upto = f" to {most:g}" if most is not None else " up"
            self.wrong(path, f"expected {expected} from {least or 0:g}{upto}")
        return float(value) if hint is float and isinstance(value, int) else value

    def items(self, hint: Any, value: object, path: str, bounds: Mapping[str, Any]) -> Any:
        if not isinstance(value, list):
            return self.wrong(path, "expected a list")
        if not value:
            return self.wrong(path, "is empty: leave it out, or name something")
        found = [
            self.value(hint, one, f"{path}[{index}]", {"least": 1} if hint is str else {})
            for index, one in enumerate(value)
        ]
        hashable = [one for one in found if isinstance(one, str | int | float)]
        if len(set(hashable)) != len(hashable):
            self.wrong(path, "names something twice")
        return tuple(found)

    def mapping(self, hint: Any, value: object, path: str) -> Any:
        if not isinstance(value, Mapping):
            return self.wrong(path, "expected names and values")
        for name, one in value.items():
            if not isinstance(name, str) or not name:
                self.wrong(f"{path}.{name}", "expected a text as name")
            elif hint is str and (not isinstance(one, str) or not one):
                self.wrong(f"{path}.{name}", "expected a text")
            elif hint is Any and not _is_plain(one):
                self.wrong(f"{path}.{name}", "expected texts, finite numbers, lists and objects")
        return dict(value)

    def rules(self, document: Mapping[str, Any]) -> tuple[Rule, ...]:
        listed_rules = document.get("controls")
        if not isinstance(listed_rules, list) or not listed_rules:
            self.wrong("controls", "expected a list of at least one control")
            return ()
        found = [self.rule(one, f"controls[{n}]") for n, one in enumerate(listed_rules)]
        return tuple(rule for rule in found if rule is not None)

    def rule(self, value: object, path: str) -> Rule | None:
        if not isinstance(value, Mapping):
            self.wrong(path, "expected names and values")
            return None
        texts = {}
        for name, needed in (("id", True), ("reason", True), ("remedy", True), ("clause", False)):
            if name in value or needed:
                texts[name] = value.get(name)
                if not isinstance(texts[name], str) or not str(texts[name]).strip():
                    self.wrong(f"{path}.{name}", "expected a text; it is printed with each refusal")
        if isinstance(value.get("id"), str) and not is_slug(value["id"]):
            self.wrong(f"{path}.id", "expected lowercase letters, digits and hyphens")
        mode = self.value(Literal["block", "warn"], value.get("mode"), f"{path}.mode", {})
        rest = {name: one for name, one in value.items() if name not in (*_RULE_NAMES, "mode")}
        condition = self.condition(rest, path, 1)
        if condition is None or any(one.startswith(f"{path}.") for one in self.problems):
            return None
        return Rule(
            id=str(texts["id"]),
            mode=Mode(mode),
            condition=condition,
            why=str(texts["reason"]).strip(),
            remedy=str(texts["remedy"]).strip(),
            clause=str(texts.get("clause", "")).strip(),
        )

    def condition(self, value: object, path: str, depth: int) -> Condition | None:
        if not isinstance(value, Mapping):
            self.wrong(path, "expected names and values")
            return None
        heads = [name for name in ("kind", "all", "any", "not") if name in value]
        if len(heads) != 1:
            self.wrong(f"{path}.kind", "expected exactly one of: kind, all, any, not")
            return None
        if depth > MAX_DEPTH:
            self.wrong(path, f"is nested more than {MAX_DEPTH} deep")
            return None
        if heads[0] == "kind":
            return self.control(value, path)
        for name in value:
            if name != heads[0]:
                self.wrong(f"{path}.{name}", f"unknown name beside '{heads[0]}'")
        inner = f"{path}.{heads[0]}"
        if heads[0] == "not":
            part = self.condition(value["not"], inner, depth + 1)
            return None if part is None else Negation(part)
        return self.parts(heads[0], value[heads[0]], inner, depth)

    def parts(self, head: str, value: object, path: str, depth: int) -> Condition | None:
        if not isinstance(value, list) or len(value) < 2:
            self.wrong(path, "expected a list of at least two")
            return None
        found = [
            part
            for index, one in enumerate(value)
            if (part := self.condition(one, f"{path}[{index}]", depth + 1)) is not None
        ]
        if len(found) != len(value):
            return None
        for index, part in enumerate(found):
            if part in found[:index]:
                self.wrong(f"{path}[{index}]", "is there twice")
            elif Negation(part) in found or (isinstance(part, Negation) and part.part in found):
                # x and not x can never hold, x or not x never fails: neither is meant
                self.wrong(f"{path}[{index}]", "contradicts another of the list")
        return AllOf(tuple(found)) if head == "all" else AnyOf(tuple(found))

    def control(self, value: Mapping[str, Any], path: str) -> Control | None:
        name = value["kind"]
        kind = KINDS.get(name) if isinstance(name, str) else None
        if kind is None:
            self.wrong(f"{path}.kind", f"unknown kind; known are: {', '.join(sorted(KINDS))}")
            return None
        parameters = {key: one for key, one in value.items() if key != "kind"}
        control: Control | None = self.dataclass(kind, parameters, path)
        if control is None:
            return None
        for parameter, detail in control.problems():
            self.wrong(f"{path}.{parameter}", detail)
        return control


_ABC_MAPPING = get_origin(Mapping[str, str])
_RULE_NAMES = ("id", "reason", "remedy", "clause")
_SCALARS: dict[Any, tuple[str, Callable[[object], bool]]] = {
    str: ("a text", lambda value: isinstance(value, str)),
    int: ("a whole number", lambda value: isinstance(value, int) and not isinstance(value, bool)),
    float: ("a number", is_number),
    bool: ("true or false", lambda value: isinstance(value, bool)),
}


def join(path: str, name: object) -> str:
    return f"{path}.{name}" if path else str(name)


def is_slug(text: str) -> bool:
    return 0 < len(text) <= 60 and all(
        part and part.isascii() and part.isalnum() and part.islower() | part.isdigit()
        for part in text.split("-")
    )


def _is_plain(value: object) -> bool:
    """True for what JSON can hold, numbers finite."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, list):
        return all(_is_plain(one) for one in value)
    return isinstance(value, str | bool) or is_number(value)
