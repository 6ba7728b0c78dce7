"""What the registry's views share: pages, filters, and finding what the caller may see."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from django.db.models import Model, QuerySet
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.models import User
from accounts.rest.authentication import actor_of
from audit.actor import Actor
from kernel.errors import Invalid
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import StrictSerializer
from registry import selectors
from registry.models import (
    Dataset,
    DatasetUse,
    LegalEntity,
    ModelVersion,
    Portfolio,
    RegisteredModel,
    Use,
)
from registry.services import DatasetLink

M = TypeVar("M", bound=Model)
_PAGING = ("cursor", "page_size", "format")


def reader_of(request: Request) -> Actor:
    """The actor for looking things up. A write finds what its roles may read, whatever its token is
    for: the scope that it needs is the write's own."""
    actor = actor_of(request)
    return actor if request.method in ("GET", "HEAD") else dataclasses.replace(actor, scopes=None)


def validated(serializer: type[StrictSerializer], data: Any) -> dict[str, Any]:
    checked = serializer(data=data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def paged(
    view: APIView, request: Request, rows: QuerySet[M], describe: Callable[[M], dict[str, Any]]
) -> Response:
    pages = NewestFirst()
    page = pages.paginate_queryset(rows, request, view=view)
    return pages.get_paginated_response([describe(row) for row in page or []])


def filters(request: Request, *known: str) -> dict[str, str]:
    """The query's filters. One that is not known is an error: silently it would show too much."""
    for name in request.query_params:
        if name not in known and name not in _PAGING:
            raise Invalid(f"unknown filter; known are: {', '.join(known) or 'none'}", field=name)
    return {name: request.query_params[name] for name in known if name in request.query_params}


def flag(text: str, field: str) -> bool:
    if text not in ("true", "false"):
        raise Invalid("expected true or false", field=field)
    return text == "true"


def whole(text: str, field: str) -> int:
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise Invalid("expected a whole number", field=field)
    return int(text)


def models_of(request: Request) -> QuerySet[RegisteredModel]:
    rows = RegisteredModel.objects.select_related("portfolio", "legal_entity", "created_by")
    return visible(rows, reader_of(request))


def find_model(request: Request, name: str) -> RegisteredModel:
    return get_object_or_404(models_of(request), name=name)


def find_use(request: Request, model: str, use: str) -> Use:
    rows = Use.objects.select_related("model", "legal_entity")
    return get_object_or_404(rows, model=find_model(request, model), name=use)


def versions_of(model: RegisteredModel) -> QuerySet[ModelVersion]:
    return ModelVersion.objects.filter(model=model).select_related(
        "model", "author", "registered_by", "last_edited_by", "parent"
    )


def find_version(request: Request, model: str, number: int) -> ModelVersion:
    return get_object_or_404(versions_of(find_model(request, model)), number=number)


def find_dataset(request: Request, name: str) -> Dataset:
    return get_object_or_404(datasets_of(request), name=name)


def datasets_of(request: Request) -> QuerySet[Dataset]:
    return selectors.visible_datasets(reader_of(request)).select_related("registered_by")


def named_user(username: str, field: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Invalid(f"no account is named {username!r}", field=field)
    return user


def named_portfolio(slug: str) -> Portfolio:
    row = Portfolio.objects.filter(slug=slug).first()
    if row is None:
        raise Invalid(f"no portfolio is named {slug!r}", field="portfolio")
    return row


def named_legal_entity(slug: str, field: str = "legal_entity") -> LegalEntity:
    row = LegalEntity.objects.filter(slug=slug).first()
    if row is None:
        raise Invalid(f"no legal entity is named {slug!r}", field=field)
    return row


def named_dataset(request: Request, name: str, field: str) -> Dataset:
    row = datasets_of(request).filter(name=name).first()
    if row is None:
        raise Invalid(f"no dataset is named {name!r}", field=field)
    return row


def dataset_links(request: Request, given: Sequence[dict[str, Any]]) -> list[DatasetLink]:
    """The datasets that a version's record names, each by its name or its digest."""
    links = []
    for index, one in enumerate(given):
        if "name" in one:
            row = named_dataset(request, one["name"], f"datasets[{index}].name")
        else:
            # Who knows the digest of data has the data, so naming it by that needs no right to see it.
            found = Dataset.objects.filter(digest=one["digest"]).first()
            if found is None:
                raise Invalid("no dataset has this digest", field=f"datasets[{index}].digest")
            row = found
        links.append(DatasetLink(row, DatasetUse.Purpose(one["purpose"]).value))
    return links
