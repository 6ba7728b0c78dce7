"""The audit log: searched by what the index holds, each entry with its proof."""

import json
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse

from accounts.models import Pseudonym, User
from audit import catalogue, proofs
from audit.models import Entry, PrivatePayload
from audit.selection import Selection
from audit.status import current
from web.forms import AuditSearch
from web.pages import page, show

SIZE = 50


@page(action="audit.read")
def entries(request: HttpRequest) -> HttpResponse:
    """Newest first, by keys and not by offsets, so that a million entries cost no more than ten."""
    form = AuditSearch(request.GET)
    rows = Entry.objects.filter(_selection(form).entries()).order_by("-id")
    before = request.GET.get("before", "")
    if before.isdecimal() and len(before) < 19:
        rows = rows.filter(pk__lt=int(before))
    found = list(rows.defer("leaf").select_related("position")[: SIZE + 1])
    context = {
        "entries": [(entry, name) for entry, name in _named(found[:SIZE])],
        "next": found[SIZE - 1].pk if len(found) > SIZE else None,
        "form": form,
        "searched": any(request.GET.values()),
        "types": [one.name for one in catalogue.all_types()],
        "log": current(),
    }
    return show(request, "audit/entries.html", context)


def _selection(form: AuditSearch) -> Selection:
    if not form.is_valid():
        return Selection()
    wanted = form.cleaned_data
    return Selection(
        type=wanted["type"] or None,
        object_id=wanted["object"] or None,
        since=_midnight(wanted["since"]),
        until=_midnight(wanted["until"], days=1),
    )


def _midnight(day: Any, *, days: int = 0) -> datetime | None:
    if day is None:
        return None
    return datetime.combine(day, time.min, UTC) + timedelta(days=days)


def _named(rows: list[Entry]) -> list[tuple[Entry, str]]:
    """Each entry with the name of its actor, unless that has been erased or it is the service."""
    pseudonyms = {row.actor for row in rows if row.actor_kind != "system"}
    subjects = dict(
        Pseudonym.objects.filter(pseudonym__in=pseudonyms).values_list("pseudonym", "subject")
    )
    users = {user.pk: str(user) for user in User.objects.filter(pk__in=subjects.values())}
    names = {pseudonym: users.get(subject) for pseudonym, subject in subjects.items()}
    return [(row, _name(row, names.get(row.actor))) for row in rows]


def _name(row: Entry, known: str | None) -> str:
    if row.actor_kind == "system":
        return "the service itself"
    return known or f"pseudonym {str(row.actor)[:8]}"


def _find(uuid: UUID) -> Entry:
    row = Entry.objects.select_related("position").filter(uuid=uuid).first()
    if row is None:
        raise Http404("no entry has this id")
    return row


@page(action="audit.read")
def entry(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """One entry: its public leaf, what may be erased beside it, and its proof in the log."""
    row = _find(uuid)
    payload = PrivatePayload.objects.filter(entry=row).first()
    context = {
        "entry": row,
        "actor": _named([row])[0][1],
        "leaf": row.content,
        "private": json.loads(bytes(payload.data)) if payload else None,
        "committed": "private" in row.content,
        "proof": proofs.inclusion(uuid),
    }
    return show(request, "audit/entry.html", context)


@page(action="audit.read")
def proof(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The proof of inclusion as a file in the C2SP tlog-proof format."""
    _find(uuid)
    found = proofs.inclusion(uuid)
    if found is None:
        raise Http404("the entry waits for the sequencer; its proof comes within a second")
    response = HttpResponse(found.tlog_proof, content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{uuid}.tlog-proof"'
    return response
