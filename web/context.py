"""What every page needs around itself: the areas this person may enter, and how the log stands."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from accounts.access import TABLE, roles_of, visible
from accounts.models import Role, User
from accounts.web import actor_of
from audit.models import Checkpoint
from governance.models import Incident, Review
from monitoring.models import Breach
from web.roles import held_on_parts


@dataclass(frozen=True)
class Area:
    """One entry of the navigation. `prefix` is what the paths of its pages begin with."""

    name: str
    url: str
    prefix: str
    action: str = ""
    count: int = 0
    current: bool = False


def shell(request: HttpRequest) -> dict[str, Any]:
    """The context of `base.html`. Lazy: pages without a frame pay nothing for it."""
    user = getattr(request, "user", None)
    if not isinstance(user, User) or not user.is_authenticated:
        return {}
    return {"shell": Shell(request, user)}


class Shell:
    def __init__(self, request: HttpRequest, user: User) -> None:
        self._request, self._user = request, user
        self._actor = actor_of(request)

    @cached_property
    def _held(self) -> set[Role]:
        return roles_of(self._user.pk)

    @property
    def roles(self) -> str:
        """What this person is here, on whatever part of the register."""
        held = self._held | held_on_parts(self._user.pk)
        return ", ".join(role.label for role in sorted(held, key=list(Role).index))

    @property
    def checkpoint(self) -> Checkpoint | None:
        return Checkpoint.objects.order_by("-epoch_id", "-size").only("size", "created").first()

    @property
    def groups(self) -> list[tuple[str, list[Area]]]:
        held = self._held
        return [
            (title, [self._mark(area) for area in areas])
            for title, areas in (
                (title, [a for a in areas if not a.action or TABLE[a.action].roles & held])
                for title, areas in self._areas()
            )
            if areas
        ]

    def _areas(self) -> list[tuple[str, list[Area]]]:
        model = "version__model"
        reviews = visible(Review.objects.filter(state="open"), self._actor, model).count()
        breaches = visible(Breach.objects.filter(resolved_at=None), self._actor, model).count()
        incidents = visible(
            Incident.objects.filter(state__in=["suspected", "confirmed"]), self._actor, model
        ).count()
        return [
            ("Decide", [_area("Home", "home"), _area("Reviews", "reviews", count=reviews)]),
            (
                "Record",
                [
                    _area("Models", "models"),
                    _area("Datasets", "datasets"),
                    _area("Policies", "policies"),
                    _area("Reports", "reports"),
                ],
            ),
            (
                "Production",
                [
                    _area("Gate decisions", "gate"),
                    _area("Monitoring", "monitoring", count=breaches),
                    _area("Incidents", "incidents", count=incidents),
                ],
            ),
            ("Assurance", [_area("Audit log", "audit", action="audit.read")]),
            ("Administration", [_area("People", "people", action="user.manage")]),
        ]

    def _mark(self, area: Area) -> Area:
        path = self._request.path
        here = path == area.url if area.prefix == "/" else path.startswith(area.prefix)
        return replace(area, current=here)


def _area(name: str, view: str, *, action: str = "", count: int = 0) -> Area:
    url = reverse(f"web:{view}")
    return Area(name, url, url, action, count)
