"""The routes under /api/v1/ as the URLconf has them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import get_resolver

API = "api/v1/"
WRITES = ("POST", "PUT", "PATCH", "DELETE")
_METHODS = ("GET", *WRITES)


@dataclass(frozen=True)
class Route:
    """One method of one view. `pattern` is the route after /api/v1/, as the URLconf spells it."""

    method: str
    pattern: str
    action: str | None

    def __str__(self) -> str:
        return f"{self.method} {self.pattern}"


def routes() -> list[Route]:
    """Every method of every view, its second spelling without the last slash left out."""
    found = list(_walk(get_resolver(), ""))
    spelled = {route.pattern for route in found}
    return [route for route in found if f"{route.pattern}/" not in spelled]


def _walk(resolver: Any, prefix: str) -> Iterator[Route]:
    for one in resolver.url_patterns:
        place = prefix + str(one.pattern)
        if hasattr(one, "url_patterns"):
            if API.startswith(place) or place.startswith(API):
                yield from _walk(one, place)
        elif place.startswith(API):
            view = one.callback.view_class
            for method in _METHODS:
                if hasattr(view, method.lower()):
                    yield Route(method, place.removeprefix(API), view.actions.get(method))
