"""The evidence index: short ids for what is cited, and the audit entry that recorded each."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from audit.models import Entry
from kernel.moments import rfc3339
from reports.bundle_schema import Evidence

_CHUNK = 200


@dataclass(frozen=True)
class Cited:
    """`object_type` and `object_id` are as the log has them; `wanted` is the entry type that tells
    this row best, where its first entry does not."""

    kind: str
    title: str
    object_type: str
    object_id: str
    sha256: str
    at: datetime
    by: str
    wanted: str = ""


class EvidenceIndex:
    """Numbers evidence in the order in which it is first cited."""

    def __init__(self) -> None:
        self._cited: dict[str, tuple[str, Cited]] = {}
        self._by_digest: dict[str, str] = {}

    def cite(self, cited: Cited) -> str:
        """Return the ref of a row; the same row has the same one."""
        known = self._cited.get(cited.object_id)
        if known:
            return known[0]
        ref = f"E{len(self._cited) + 1}"
        self._cited[cited.object_id] = (ref, cited)
        if cited.sha256:
            self._by_digest.setdefault(cited.sha256, ref)
        return ref

    def ref_of(self, identity: object) -> str:
        """The ref of a row by its id or digest; empty if it was not cited."""
        known = self._cited.get(str(identity))
        return known[0] if known else self._by_digest.get(str(identity), "")

    def rows(self, cut_off: datetime) -> list[Evidence]:
        """The index, each row with the audit entry that recorded it by the cut-off."""
        entries = self._entries(cut_off)
        return [
            {
                "ref": ref,
                "id": cited.object_id,
                "kind": cited.kind,
                "title": cited.title,
                "sha256": cited.sha256,
                "at": rfc3339(cited.at),
                "by": cited.by,
                "entry": str(entries.get((cited.object_type, cited.object_id, cited.wanted), "")),
            }
            for ref, cited in self._cited.values()
        ]

    def _entries(self, cut_off: datetime) -> dict[tuple[str, str, str], UUID]:
        """The entry of each cited row: of the wanted type, else the first about it."""
        all_cited = [cited for _, cited in self._cited.values()]
        found: dict[tuple[str, str, str], UUID] = {}
        for start in range(0, len(all_cited), _CHUNK):
            part = all_cited[start : start + _CHUNK]
            about = Q()
            for kind in {cited.object_type for cited in part}:
                ids = [cited.object_id for cited in part if cited.object_type == kind]
                about |= Q(object_type=kind, object_id__in=ids)
            rows = Entry.objects.filter(about, at__lte=cut_off).order_by("id")
            for kind, identity, name, uuid in rows.values_list(
                "object_type", "object_id", "type", "uuid"
            ):
                found[kind, identity, name] = uuid
                found.setdefault((kind, identity, ""), uuid)
        return found


def who(user: object | None) -> str:
    """A name as it is printed; nobody's work is the service's own."""
    return str(user) if user is not None else "the service"
