"""The log as C2SP tlog-tiles serves it: static, public, and cached for ever where it cannot change.

The first epoch lies under `/audit/log/`, later ones under `/audit/log/epochs/<number>/`, as their
origins say. What the leaves say is for auditors: entry bundles need the right to read the log.
"""

from typing import Any, ClassVar

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe
from rest_framework.request import Request

from audit import tiles
from audit.api import _View
from audit.checkpoints import newest
from audit.export import entry_bundle, vkeys
from audit.models import Checkpoint, Epoch
from audit.stored import load

_FOR_EVER = "max-age=31536000, immutable"


def _head(epoch: int) -> Checkpoint:
    head = newest(epoch)
    if head is None:
        raise Http404("this log has no checkpoint yet")
    return head


def _text(body: str, cache: str) -> HttpResponse:
    response = HttpResponse(body, content_type="text/plain; charset=utf-8")
    response["Cache-Control"] = cache
    response["Access-Control-Allow-Origin"] = "*"
    return response


@require_safe
def vkey(request: HttpRequest, epoch: int = 1) -> HttpResponse:
    """The keys that have signed this log, newest first, one a line."""
    _head(epoch)
    return _text("".join(f"{key}\n" for key in reversed(vkeys(epoch))), "public, max-age=60")


@require_safe
def checkpoint(request: HttpRequest, epoch: int = 1) -> HttpResponse:
    """The newest signed checkpoint. A frozen epoch's points to the log that continues it."""
    response = _text(_head(epoch).note, "no-cache")
    if Epoch.objects.filter(number=epoch + 1).exists():
        response["Link"] = f'</audit/log/epochs/{epoch + 1}/checkpoint>; rel="successor-version"'
    return response


@require_safe
def epochs(request: HttpRequest) -> JsonResponse:
    """All epochs with their origin and size; the last one is current."""
    rows = [
        {
            "epoch": row.number,
            "origin": row.origin,
            "size": head.size if (head := newest(row.number)) else 0,
        }
        for row in Epoch.objects.order_by("number")
    ]
    response = JsonResponse({"epochs": rows})
    response["Cache-Control"] = "no-cache"
    return response


def _place(path: str, size: int, level: int) -> tuple[int, int]:
    """Read a tile's place, which must lie whole within the tree of `size`."""
    try:
        n, width = tiles.parse_index(path)
    except tiles.TileError as error:
        raise Http404(str(error)) from None
    if n * tiles.WIDTH + width > tiles.layout(size).get(level, 0):
        raise Http404("the tree has no such tile")
    return n, width


def _bytes(body: bytes, cache: str) -> HttpResponse:
    response = HttpResponse(body, content_type="application/octet-stream")
    # A tile of a given width never changes: what grows gets another path.
    response["Cache-Control"] = f"{cache}, {_FOR_EVER}"
    return response


@require_safe
def tile(request: HttpRequest, level: int, index: str, epoch: int = 1) -> HttpResponse:
    """A tile of hashes, full or partial."""
    n, width = _place(index, _head(epoch).size, level)
    data = load(epoch, [(level, n)]).get((level, n), b"")
    if len(data) < width * 32:
        raise Http404("the tree has no such tile")
    response = _bytes(data[: width * 32], "public")
    response["Access-Control-Allow-Origin"] = "*"
    return response


class Bundle(_View):
    """A bundle of up to 256 leaves, each with its length before it."""

    actions: ClassVar = {"GET": "audit.read"}

    def get(self, request: Request, index: str, epoch: int = 1, **_: Any) -> HttpResponse:
        n, width = _place(index, _head(epoch).size, 0)
        try:
            return _bytes(entry_bundle(epoch, n, width), "private")
        except tiles.TileError as error:
            raise Http404(str(error)) from None
