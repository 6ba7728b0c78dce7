"""The sensitive attributes of a model as pages tell them: each one's state, and what it rests on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from monitoring.models import NotCollectedDeclaration
from registry.models import ModelVersion, RegisteredModel
from registry.selectors import mapping_of

Hold = Literal["in_force", "lapsed", "withdrawn", "unsigned"]


@dataclass(frozen=True)
class Attribute:
    """`columns` holds what the data have of it, by group where it is proxied.

    `hold` is empty but for what is not collected: whether somebody's signature says so now.
    """

    name: str
    state: str
    columns: Mapping[str, str] = field(default_factory=dict)
    proxy: UUID | None = None
    declaration: NotCollectedDeclaration | None = None
    hold: Hold | Literal[""] = ""


def attributes_of(model: RegisteredModel, at: datetime) -> list[Attribute]:
    """The sensitive attributes that the model's columns name now, in that order."""
    mapping = mapping_of(model)
    given = (mapping.columns.get("sensitive") or []) if mapping else []
    named = [one if isinstance(one, Mapping) else {"name": one} for one in given]
    absent = [one["name"] for one in named if one.get("state") == "not_collected"]
    rows = NotCollectedDeclaration.objects.filter(model=model, attribute__in=absent)
    signed = telling(rows.select_related("signed_by", "withdrawn_by"), at) if absent else {}
    return [_attribute(one, signed, at) for one in named]


def telling(
    declarations: Iterable[NotCollectedDeclaration], at: datetime
) -> dict[str, NotCollectedDeclaration]:
    """The declaration that tells each attribute's state: the newest in force, else the newest."""
    found: dict[str, NotCollectedDeclaration] = {}
    for one in sorted(declarations, key=lambda one: (hold_of(one, at) == "in_force", one.since)):
        found[one.attribute] = one
    return found


def hold_of(declaration: NotCollectedDeclaration | None, at: datetime) -> Hold:
    """Whether a declaration counts at `at`, and if not, why."""
    if declaration is None:
        return "unsigned"
    if declaration.withdrawn_at is not None:
        return "withdrawn"
    return "in_force" if at < declaration.until else "lapsed"


def proxies_of(attributes: Iterable[Attribute]) -> list[UUID]:
    return [one.proxy for one in attributes if one.proxy is not None]


def _attribute(
    told: Mapping[str, Any], signed: Mapping[str, NotCollectedDeclaration], at: datetime
) -> Attribute:
    name, state = told["name"], told.get("state", "measured")
    if state == "not_collected":
        declaration = signed.get(name)
        hold = hold_of(declaration, at)
        return Attribute(name, state, declaration=declaration, hold=hold)
    if state == "proxied":
        return Attribute(name, state, told["proxy"]["columns"], UUID(told["proxy"]["version"]))
    return Attribute(name, state, {"": told.get("column") or name})


def told(
    attributes: Iterable[Attribute], readable: Mapping[UUID, ModelVersion]
) -> list[tuple[Attribute, ModelVersion | None]]:
    """Each attribute with the version that estimates it, if the reader may know that one."""
    return [(one, readable.get(one.proxy) if one.proxy else None) for one in attributes]
