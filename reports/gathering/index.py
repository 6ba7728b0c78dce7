"""The evidence index: short ids for what is cited, and the audit entry that recorded each."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Q

from audit.models import Entry
from kernel.moments import rfc3339
from reports.bundle_schema import Evidence

_CHUNK = 200


@dataclass(frozen=True)
class Cited:
    """A row that is cited, and how to find the entry that recorded it: the first one about
    `object_type` and `object_id`, or, where that tells another thing, the first of the type `wanted`
    whose public facts hold those of `matching`; `logged_as` is its object in the log, if not itself."""

    kind: str
    title: str
    object_type: str
    object_id: str
    sha256: str
    at: datetime
    by: str
    wanted: str = ""
    logged_as: str = ""
    matching: tuple[tuple[str, object], ...] = ()

    @property
    def log_id(self) -> str:
        return self.logged_as or self.object_id

    def told_by(self, entry: Entry) -> bool:
        return (not self.wanted or entry.type == self.wanted) and all(
            entry.public.get(name) == value for name, value in self.matching
        )


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
                "entry": _entry(cited, entries),
            }
            for ref, cited in self._cited.values()
        ]

    def _entries(self, cut_off: datetime) -> dict[tuple[str, str], list[Entry]]:
        """The entries about what is cited, oldest first."""
        wanted = sorted({(cited.object_type, cited.log_id) for _, cited in self._cited.values()})
        found: dict[tuple[str, str], list[Entry]] = {}
        for start in range(0, len(wanted), _CHUNK):
            part = wanted[start : start + _CHUNK]
            about = Q()
            for kind in {kind for kind, _ in part}:
                about |= Q(object_type=kind, object_id__in=[one for k, one in part if k == kind])
            for entry in Entry.objects.filter(about, at__lte=cut_off).order_by("id"):
                found.setdefault((entry.object_type, entry.object_id), []).append(entry)
        return found


def _entry(cited: Cited, entries: dict[tuple[str, str], list[Entry]]) -> str:
    about = entries.get((cited.object_type, cited.log_id), [])
    return next((str(entry.uuid) for entry in about if cited.told_by(entry)), "")


def who(user: object | None) -> str:
    """A name as it is printed; nobody's work is the service's own."""
    return str(user) if user is not None else "the service"
