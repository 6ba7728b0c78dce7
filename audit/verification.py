"""Verifying the whole log where it lives: entries, commitments, leaves, tiles, checkpoints, queues.

Everything is recomputed from the entries' bytes and compared with what is stored and what was signed.
An altered entry is named by its uuid, index and type. Against somebody who has the log's key and
rewrites everything, only what is held outside helps: the high-water file, and older checkpoints.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef
from django.db.models.functions import Length

from audit import anchors, further, merkle, notes, quick, records, signing, tiles, workers
from audit.highwater import HighWater, HighWaterError, HighWaterFile
from audit.models import Checkpoint, Entry, Epoch, Leaf, Pending, PrivatePayload, Tile
from audit.notes import Verifier
from audit.selection import erased_among
from kernel.conf import ConfigurationError

_NAMED = 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong. `index`, `entry` and `type` are set where it is about one entry."""

    code: str
    message: str
    epoch: int | None = None
    index: int | None = None
    entry: str | None = None
    type: str | None = None

    def __str__(self) -> str:
        if self.index is None and self.entry is None:
            return f"{self.code}: {self.message}"
        at = "not in the tree" if self.index is None else f"index {self.index}"
        named = f"entry {self.entry or 'unknown'}, {at}, type {self.type or 'unknown'}"
        return f"{self.code}: {named}: {self.message}"


@dataclass
class Report:
    """What was checked, and what was found wrong. `remarks` are things to know that are not wrong."""

    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    entries: int = 0
    payloads: int = 0
    erased: int = 0
    tiles: int = 0
    checkpoints: int = 0
    pending: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    def add(self, code: str, message: str, **place: Any) -> None:
        self.findings.append(Finding(code, message, **place))


def verify(
    *,
    trusted: Sequence[Verifier] | None = None,
    older: Sequence[str] = (),
    marks: HighWaterFile | None = None,
    progress: Progress | None = None,
    processes: int = 1,
) -> Report:
    """Verify the log, in flat memory; with more than one process if the database is a server.

    `trusted` are the keys that may have signed; by default those of this installation's key files, or
    where there are none the ones that the database names, which is remarked. `older` holds checkpoints
    (notes) from outside, beside those that the anchors hold; `marks` the sequencer's high-water file, where this process can read it.
    """
    report = Report()
    epochs = list(Epoch.objects.order_by("number"))
    total, done = Leaf.objects.count(), 0
    mark = _mark(marks, report)
    held: dict[str, list[notes.Checkpoint]] = {}
    for note in older:
        one = notes.parse_checkpoint(note)
        held.setdefault(one.origin, []).append(one)
    for one in _anchored(report):
        held.setdefault(one.origin, []).append(one)
    previous: Checkpoint | None = None
    for epoch in epochs:
        keys = _keys(epoch, trusted, report)
        outside = held.pop(epoch.origin, [])
        if mark and mark.origin == epoch.origin and mark.size:
            outside.append(notes.Checkpoint(mark.origin, mark.size, bytes.fromhex(mark.root)))
        check = _EpochCheck(epoch, keys, outside, report)
        with workers.pool(processes) as pool:
            for step in check.run(pool):
                done += step
                if progress:
                    progress(done, total)
        _check_citation(epoch, previous, report)
        previous = check.head
    for origin in held:
        report.add("history", f"the database has no log {origin}, whose checkpoint is held outside")
    if mark and mark.size and mark.origin not in {epoch.origin for epoch in epochs}:
        report.add("history", f"{mark.size} entries of {mark.origin} were signed and are not here")
    _check_queues(report)
    for code, message in (*anchors.problems(), *further.findings()):
        report.add(code, message)
    return report


def _mark(marks: HighWaterFile | None, report: Report) -> HighWater | None:
    try:
        mark = marks.read() if marks else None
    except HighWaterError as error:
        report.add("high_water", str(error))
        return None
    if mark is None:
        report.remarks.append("no high-water file can be read here, so none was compared")
    return mark


def _anchored(report: Report) -> Iterator[notes.Checkpoint]:
    """Yield the checkpoints that this installation's anchors hold: they bind like any held outside."""
    try:
        places = list(anchors.held_outside())
    except ConfigurationError as error:
        report.add("anchor", f"what is anchored outside cannot be read: {error}")
        return
    for name, held in places:
        if isinstance(held, str):
            report.add("anchor", f"what {name} holds cannot be read: {held}")
            continue
        for note in held:
            try:
                yield notes.parse_checkpoint(note)
            except notes.NoteError as error:
                report.add("anchor", f"a checkpoint that {name} holds is damaged: {error}")


def _keys(epoch: Epoch, trusted: Sequence[Verifier] | None, report: Report) -> list[Verifier]:
    if trusted is not None:
        return [Verifier(epoch.origin, key.public) for key in trusted]
    own = signing.own_verifiers(epoch.origin)
    if own:
        return own
    report.remarks.append("no key files here: signatures were checked with the database's own keys")
    return signing.recorded_verifiers(epoch.number)


class _EpochCheck:
    """One pass over the leaves of an epoch, in chunks of whole tiles."""

    def __init__(
        self,
        epoch: Epoch,
        keys: Sequence[Verifier],
        outside: Iterable[notes.Checkpoint],
        report: Report,
    ) -> None:
        self.epoch, self.keys, self.report = epoch, keys, report
        self.outside = sorted((one for one in outside if one.size), key=lambda one: one.size)
        self.tree = merkle.CompactRange()
        self.head: Checkpoint | None = None
        self._levels: list[list[bytes]] = [[]]
        self._flushed = [0]
        self._good = 0
        self._bad_from: int | None = None
        own = Checkpoint.objects.filter(epoch_id=epoch.number)
        # The log may grow meanwhile; what comes after this head is left to the next verification.
        self.head = own.order_by("-size").first()
        self.size = self.head.size if self.head else 0
        self._checkpoints = own.filter(size__lte=self.size).order_by("size").iterator(500)
        self._next = next(self._checkpoints, None)

    def run(self, pool: Executor | None) -> Iterator[int]:
        """Check run by run, yielding the number of leaves of each."""
        own = Leaf.objects.filter(epoch_id=self.epoch.number)
        for start, stop, held in quick.runs(self.epoch.number, self.size, pool):
            if held is not None:
                self.report.entries += stop - start
                self.report.payloads += held.payloads
                self.report.erased += held.erased
                self._extend(tiles.split(held.hashes))
                yield stop - start
            else:
                rows = list(own.filter(index__gte=start, index__lt=stop))
                self._chunk(start, stop, rows)
                yield len(rows)
        self._finish()

    def _chunk(self, start: int, stop: int, rows: list[Leaf]) -> None:
        """Look closely at a run in which something does not hold, and name it."""
        entries = {
            entry.id: entry for entry in Entry.objects.filter(id__in=[row.entry_id for row in rows])
        }
        by_index = {row.index: row for row in rows}
        stored = self._stored(start, stop)
        hashes: list[bytes] = []
        for index in range(start, stop):
            row = by_index.get(index)
            tile_hash = stored.get(index)
            computed = self._entry_hash(index, row, entries, tile_hash)
            # What was signed is most likely what the tile holds; the checkpoints below decide.
            hashes.append(tile_hash or computed or bytes(32))
        self._extend(hashes)
        self._payloads([entries[row.entry_id] for row in rows if row.entry_id in entries], by_index)

    def _stored(self, start: int, stop: int) -> dict[int, bytes]:
        width = tiles.WIDTH
        found: dict[int, bytes] = {}
        for tile in Tile.objects.filter(
            epoch_id=self.epoch.number, level=0, n__gte=start // width, n__lt=-(-stop // width)
        ):
            for offset, one in enumerate(tiles.split(bytes(tile.hashes))[: tiles.WIDTH]):
                if len(one) == merkle.HASH_SIZE:
                    found[tile.n * width + offset] = one
        return found

    def _entry_hash(
        self, index: int, row: Leaf | None, entries: dict[int, Entry], tile_hash: bytes | None
    ) -> bytes | None:
        """Check one place of the tree; return the hash that its entry has now, if there is one."""
        if row is None:
            self._add(
                "gap", "the log has signed an entry here, and it is gone", index, None, entries
            )
            return None
        entry = entries.get(row.entry_id)
        if entry is None:
            self._add(
                "deleted", "its row was deleted; the tree still has its hash", index, row, entries
            )
            return None
        self.report.entries += 1
        computed = merkle.leaf_hash(bytes(entry.leaf))
        if computed != bytes(row.hash):
            self._add("altered", "its bytes are not those that were sequenced", index, row, entries)
        elif tile_hash is None:
            self._add(
                "tile", "the tile that holds its hash is missing or short", index, row, entries
            )
        elif computed != tile_hash:
            self._add(
                "altered", "it has another hash than the tree has for it", index, row, entries
            )
        if wrong := records.differing_columns(entry):
            message = f"its search columns were altered: {', '.join(wrong)}"
            self._add("altered", message, index, row, entries)
        return computed

    def _extend(self, hashes: list[bytes]) -> None:
        """Grow the tree by a run, stopping wherever a checkpoint says what its root was."""
        start, end = self.tree.size, self.tree.size + len(hashes)
        while self.tree.size < end:
            stops = [self._next.size] if self._next else []
            stops += [one.size for one in self.outside[:1]]
            stop = min([end, *(size for size in stops if size > self.tree.size)])
            self.tree.extend(hashes[self.tree.size - start : stop - start])
            self._compare_heads()
        for at in range(0, len(hashes), tiles.WIDTH):
            self._levels[0] = hashes[at : at + tiles.WIDTH]
            self._flush(full_only=True)

    def _compare_heads(self) -> None:
        while self._next is not None and self._next.size <= self.tree.size:
            self._checkpoint(self._next)
            self._next = next(self._checkpoints, None)
        while self.outside and self.outside[0].size <= self.tree.size:
            one = self.outside.pop(0)
            if one.size == self.tree.size and one.root != self.tree.root():
                self.report.add(
                    "history",
                    f"the log was rewritten: its first {one.size} entries are not those of a checkpoint "
                    "that is held outside the database",
                    epoch=self.epoch.number,
                )

    def _flush(self, *, full_only: bool) -> None:
        """Compare each finished tile above level 0 with the stored one; memory stays at one tile each."""
        level = 0
        while level < len(self._levels):
            hashes = self._levels[level]
            if len(hashes) < tiles.WIDTH and (full_only or not hashes):
                if full_only:
                    return
                level += 1
                continue
            self._compare_tile(level, self._flushed[level], b"".join(hashes))
            if len(hashes) == tiles.WIDTH:
                if level + 1 == len(self._levels):
                    self._levels.append([])
                    self._flushed.append(0)
                self._levels[level + 1].append(merkle.fold(hashes))
            self._levels[level] = []
            self._flushed[level] += 1
            level += 1

    def _compare_tile(self, level: int, n: int, data: bytes) -> None:
        self.report.tiles += 1
        if level == 0:
            return
        row = Tile.objects.filter(epoch_id=self.epoch.number, level=level, n=n).first()
        if row is None or not bytes(row.hashes).startswith(data):
            self.report.add(
                "tile",
                f"tile {level}/{n} does not follow from the tiles below it",
                epoch=self.epoch.number,
            )

    def _checkpoint(self, row: Checkpoint) -> None:
        self.report.checkpoints += 1
        number = self.epoch.number
        try:
            signed = notes.open_checkpoint(row.note, self.keys)
        except notes.NoteError as error:
            self.report.add("checkpoint", f"checkpoint of {row.size}: {error}", epoch=number)
            return
        if (signed.origin, signed.size, signed.root) != (
            self.epoch.origin,
            row.size,
            bytes(row.root),
        ):
            self.report.add(
                "checkpoint",
                f"checkpoint of {row.size}: its columns and its note differ",
                epoch=number,
            )
        if signed.size != self.tree.size:
            return
        if signed.root == self.tree.root():
            self._good = signed.size
        elif self._bad_from is None:
            self._bad_from = signed.size
            self._suspects(self._good, signed.size)

    def _suspects(self, good: int, bad: int) -> None:
        """Name the entries between the last checkpoint that holds and the first that does not."""
        self.report.add(
            "root",
            f"the tree of {bad} entries is not the one that was signed; that of {good} still is, so "
            f"what was altered lies from index {good} to {bad - 1}",
            epoch=self.epoch.number,
        )
        rows = Leaf.objects.filter(epoch_id=self.epoch.number, index__gte=good, index__lt=bad)
        for row in rows.select_related("entry").order_by("index")[:_NAMED]:
            self.report.add(
                "suspect",
                "it lies between a checkpoint that holds and one that does not",
                epoch=self.epoch.number,
                index=row.index,
                entry=str(row.entry.uuid),
                type=row.entry.type,
            )

    def _payloads(self, entries: list[Entry], by_index: dict[int, Leaf]) -> None:
        place = {row.entry_id: row.index for row in by_index.values()}
        found = {
            one.entry_id: one
            for one in PrivatePayload.objects.filter(entry_id__in=[entry.id for entry in entries])
        }
        gone: list[Entry] = []
        for entry in entries:
            payload, committed = found.get(entry.id), records.commitment_in(entry)
            self.report.payloads += payload is not None
            if payload is None and committed is not None:
                gone.append(entry)
            elif payload is not None and not records.payload_fits(payload, committed):
                message = "its private payload was altered: the leaf is committed to another"
                self._entry_finding("payload", message, entry, place[entry.id])
        erased = erased_among([entry.uuid for entry in gone]) if gone else set()
        for entry in gone:
            if str(entry.uuid) in erased:
                self.report.erased += 1
            else:
                message = "its private payload is lost: it is gone, and no entry says it was erased"
                self._entry_finding("payload_lost", message, entry, place[entry.id])

    def _finish(self) -> None:
        self._flush(full_only=False)
        number = self.epoch.number
        for one in self.outside:
            message = f"the log was cut: {one.size} entries are known outside, {self.size} are here"
            self.report.add("history", message, epoch=number)
        beyond = Leaf.objects.filter(epoch_id=number, index__gte=self.size).order_by("index")
        rows = list(beyond[:_NAMED])
        now = Checkpoint.objects.filter(epoch_id=number).order_by("-size").first()
        entries = {one.id: one for one in Entry.objects.filter(id__in=[r.entry_id for r in rows])}
        for row in rows:
            if now is None or row.index >= now.size:
                message = "it lies beyond the newest signed checkpoint"
                self._add("unsigned", message, row.index, row, entries)
        if now is None or now.size == self.size:
            self._lengths()

    def _lengths(self) -> None:
        """Compare the length of each tile with what a tree of this size has there."""
        counts = tiles.layout(self.size)
        own = Tile.objects.filter(epoch_id=self.epoch.number).annotate(length=Length("hashes"))
        for level, n, length in own.values_list("level", "n", "length").iterator(2000):
            width = max(0, min(counts.get(level, 0) - n * tiles.WIDTH, tiles.WIDTH))
            if length != width * merkle.HASH_SIZE:
                self.report.add(
                    "tile",
                    f"tile {level}/{n} has {length} bytes for the {width} hashes of the tree there",
                    epoch=self.epoch.number,
                )

    def _add(
        self, code: str, message: str, index: int, row: Leaf | None, entries: dict[int, Entry]
    ) -> None:
        entry = entries.get(row.entry_id) if row else None
        if entry is not None:
            self._entry_finding(code, message, entry, index)
        else:
            self.report.add(code, message, epoch=self.epoch.number, index=index)

    def _entry_finding(self, code: str, message: str, entry: Entry, index: int) -> None:
        self.report.add(
            code,
            message,
            epoch=self.epoch.number,
            index=index,
            entry=str(entry.uuid),
            type=entry.type,
        )


def _check_citation(epoch: Epoch, previous: Checkpoint | None, report: Report) -> None:
    """Check that a later epoch's first entry cites the epoch before it."""
    if epoch.number == 1:
        return
    first = Leaf.objects.filter(epoch_id=epoch.number, index=0).select_related("entry").first()
    if first is None or first.entry.type != "audit.epoch.started" or previous is None:
        report.add("epoch", f"epoch {epoch.number} does not say which log it continues")
        return
    cited = first.entry.public
    if (cited.get("cited_size"), cited.get("cited_root")) == (
        previous.size,
        bytes(previous.root).hex(),
    ):
        return
    if cited.get("kept_size") == previous.size:
        lost = int(cited.get("cited_size") or 0) - previous.size
        report.remarks.append(
            f"epoch {previous.epoch_id} lost its last {lost} entries in a restore, as the first entry of "
            f"epoch {epoch.number} says"
        )
        return
    report.add("epoch", f"epoch {epoch.number} cites another tree of epoch {previous.epoch_id}")


def _check_queues(report: Report) -> None:
    """Look for what is in no queue and no tree, or in both, and for rows that belong to nothing."""
    leaf = Leaf.objects.filter(entry_id=OuterRef("pk"))
    queued = Pending.objects.filter(entry_id=OuterRef("pk"))
    report.pending = Pending.objects.count()
    for entry in Entry.objects.filter(~Exists(leaf), ~Exists(queued)).order_by("id")[:1000]:
        message = "it is neither in the tree nor in the queue: it was put in behind the application's back"
        report.add("orphan", message, entry=str(entry.uuid), type=entry.type)
    both = Entry.objects.filter(Exists(leaf), Exists(queued)).order_by("id")
    for entry in both[:1000]:
        report.add(
            "orphan", "it is in the tree and still queued", entry=str(entry.uuid), type=entry.type
        )
    owner = Entry.objects.filter(pk=OuterRef("entry_id"))
    for name, rows in (
        ("queued", Pending.objects.filter(~Exists(owner)).count()),
        ("private", PrivatePayload.objects.filter(~Exists(owner)).count()),
    ):
        if rows:
            report.add("orphan", f"{rows} {name} rows belong to no entry")
