"""Finding what a request names, among what its actor may see. What it may not see is not there."""

from contextlib import suppress
from typing import Any, TypeVar
from uuid import UUID

from django.core.exceptions import FieldDoesNotExist
from django.db import models
from django.db.models import Q, QuerySet
from rest_framework.request import Request

from accounts.access import visible
from kernel.errors import Invalid, NotFound
from kernel.identifiers import parse_digest
from registry.api.base import reader_of
from registry.models import Dataset, Environment, ModelVersion, RegisteredModel, Use
from registry.selectors import visible_datasets

M = TypeVar("M", bound=models.Model)


def one_of(
    request: Request, rows: QuerySet[M], id: UUID, what: str, *, path: str = "version__model"
) -> M:
    """The row of that id, if the actor may read its model, which `path` leads to.

    Raises:
        NotFound: else.
    """
    found = visible(rows, reader_of(request), path).filter(pk=id).first()
    if found is None:
        raise NotFound(f"there is no {what} {id}")
    return found


def version_of(request: Request, name: str, number: int) -> ModelVersion:
    """The version of the path.

    Raises:
        NotFound: if there is none that the actor may read.
    """
    rows = visible(ModelVersion.objects.select_related("model"), reader_of(request), "model")
    found = rows.filter(model__name=name, number=number).first()
    if found is None:
        raise NotFound(f"there is no version {number} of a model {name}")
    return found


def version_in_body(request: Request, name: str, number: int) -> ModelVersion:
    """The version that a body names by its `model` and its `version`.

    Raises:
        Invalid: naming the one of the two fields that names nothing which the actor may read.
    """
    if not visible(RegisteredModel.objects.filter(name=name), reader_of(request)).exists():
        raise Invalid(f"there is no model {name}", field="model")
    try:
        return version_of(request, name, number)
    except NotFound as error:
        raise Invalid(error.detail, field="version") from None


def use_of(version: ModelVersion, name: str | None) -> Use:
    """The model's use of that name; its default use without one.

    Raises:
        Invalid: naming the field.
    """
    uses = Use.objects.filter(model=version.model_id)
    found = uses.filter(name=name).first() if name else uses.filter(is_default=True).first()
    if found is None:
        raise Invalid(f"the model has no use {name or 'by default'}", field="use")
    return found


def environment_of(name: str) -> Environment:
    """Raises: Invalid, naming the field."""
    found = Environment.objects.filter(name=name).first()
    if found is None:
        raise Invalid(f"there is no environment {name}", field="environment")
    return found


def dataset_of(request: Request, text: str, field: str) -> Dataset:
    """The dataset of that name or digest, among those that the actor may read.

    Raises:
        Invalid: naming the field.
    """
    condition = Q(name=text)
    with suppress(Invalid):
        condition |= Q(digest=parse_digest(text, field))
    found = visible_datasets(reader_of(request)).filter(condition).first()
    if found is None:
        raise Invalid(f"there is no dataset {text}", field=field)
    return found


def filtered(request: Request, rows: QuerySet[M], allowed: dict[str, str]) -> QuerySet[M]:
    """Rows narrowed by the query's parameters: {parameter: look-up}.

    Raises:
        Invalid: naming a parameter that is unknown or not of its type.
    """
    wanted: dict[str, Any] = {}
    for name, value in request.query_params.items():
        if name in {"cursor", "page_size", "format"}:
            continue
        if name not in allowed:
            raise Invalid(f"unknown; known are {', '.join(sorted(allowed))}", field=name)
        known = _choices(rows.model, allowed[name])
        if known and value not in known:
            raise Invalid(f"expected one of {', '.join(known)}", field=name)
        wanted[allowed[name]] = _typed(name, str(value))
    return rows.filter(**wanted)


def _choices(model: type[models.Model], path: str) -> list[str]:
    """The values that a look-up's field may have, where these are listed; empty else."""
    field: Any = None
    for part in path.split("__"):
        try:
            field = model._meta.get_field(part)
        except FieldDoesNotExist:
            return []
        model = field.related_model if field.is_relation else model
    return [str(value) for value, _ in field.flatchoices]


def _typed(name: str, value: str) -> Any:
    if name == "version":
        if not value.isdecimal() or len(value) > 9:
            raise Invalid("expected a version's number", field=name)
        return int(value)
    if name == "open":
        if value not in {"true", "false"}:
            raise Invalid("expected true or false", field=name)
        return value == "true"
    if name == "monitor":
        try:
            return UUID(value)
        except ValueError:
            raise Invalid("expected an id", field=name) from None
    return value
