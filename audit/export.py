"""Exports: JSON lines with checkpoint and proofs, or a folder of C2SP tlog-tiles.

Both carry the offline verifier, one file of standard Python, and are streamed in bounded memory. Keys
and checkpoints inside serve convenience: who verifies brings his own.
"""

import base64
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

from audit import notes, selection, tiles
from audit.checkpoints import newest
from audit.models import Checkpoint, Epoch, Leaf, LogKey, PrivatePayload, Tile
from audit.selection import Selection
from audit.stored import StoredTree
from kernel.errors import Invalid
from kernel.moments import now, rfc3339

FORMAT = "countersign-log-export/1"
Progress = Callable[[int, int], None]
VERIFIER = Path(__file__).resolve().parent.parent / "client" / "countersign_client" / "verifier.py"
_README = """This is an export of a Countersign audit log.

export.jsonl or tile/   the entries, with the hashes and proofs that tie them to the checkpoint
checkpoint              the log's newest signed checkpoint at the time of the export
vkey                    the keys that it was signed with, as the log names them itself
verifier.py             checks all of it, offline, with Python 3.11 and nothing else

    python verifier.py . --vkey KEY

KEY is the log's verifier key. Take it from where you trust it, not from this folder; and give each
checkpoint that you have held since earlier with --checkpoint FILE: only that shows whether the log was
rewritten by somebody who has its key.
"""


def jsonl(
    chosen: Selection | None = None,
    *,
    private: bool = False,
    extends: Sequence[str] = (),
    progress: Progress | None = None,
) -> Iterator[bytes]:
    """Yield the export line by line.

    An export of everything needs no proofs: its root follows from its entries. Any other carries one
    for each entry. `extends` holds checkpoints (notes) that a receiver has; a proof that the log
    extends them is put in. Without `private` the private payloads are withheld.
    """
    chosen = chosen or Selection()
    heads = [head for epoch in Epoch.objects.order_by("number") if (head := newest(epoch.number))]
    held = [notes.parse_checkpoint(note) for note in extends]
    total = sum(chosen.leaves(head.epoch_id, head.size).count() for head in heads)
    yield _line("export", format=FORMAT, created=rfc3339(now()), entries=total, private=private)
    done = 0
    for head in heads:
        yield _epoch_line(head, complete=chosen.everything)
        tree = StoredTree(head.epoch_id)
        for one in held:
            if one.origin == head.epoch.origin and 0 < one.size < head.size:
                hashes = _encoded(tree.consistency(one.size, head.size))
                yield _line("consistency", old=one.size, new=head.size, proof=hashes)
        for rows in selection.chunks(chosen.leaves(head.epoch_id, head.size)):
            payloads = _payloads(rows, private)
            for row in rows:
                facts = _entry(row, payloads.get(row.entry_id))
                if not chosen.everything:
                    facts["proof"] = _encoded(tree.inclusion(row.index, head.size))
                yield _line("entry", **facts)
            done += len(rows)
            if progress:
                progress(done, total)
    yield _line("end", entries=done)


def _line(kind: str, **facts: Any) -> bytes:
    return json.dumps({"kind": kind, **facts}, separators=(",", ":")).encode() + b"\n"


def _encoded(hashes: Iterable[bytes]) -> list[str]:
    return [base64.b64encode(one).decode() for one in hashes]


def _epoch_line(head: Checkpoint, *, complete: bool) -> bytes:
    return _line(
        "epoch",
        epoch=head.epoch_id,
        origin=head.epoch.origin,
        size=head.size,
        checkpoint=head.note,
        vkeys=vkeys(head.epoch_id),
        complete=complete,
    )


def _entry(row: Leaf, payload: Any) -> dict[str, Any]:
    facts = {
        "index": row.index,
        "hash": bytes(row.hash).hex(),
        # What is altered may be no UTF-8 any more; the verifier then sees another hash.
        "leaf": bytes(row.entry.leaf).decode(errors="replace"),
    }
    if payload is not None:
        facts["private"] = payload
    return facts


def _payloads(rows: Sequence[Leaf], private: bool) -> dict[int, Any]:
    """Return what the export says of each private payload of these entries."""
    found = {
        one.entry_id: one
        for one in PrivatePayload.objects.filter(entry_id__in=[row.entry_id for row in rows])
    }
    said: dict[int, Any] = {}
    gone: list[Leaf] = []
    for row in rows:
        payload = found.get(row.entry_id)
        if payload is not None:
            said[row.entry_id] = (
                {
                    "salt": base64.b64encode(bytes(payload.salt)).decode(),
                    "data": base64.b64encode(bytes(payload.data)).decode(),
                }
                if private
                else "withheld"
            )
        elif _is_committed(bytes(row.entry.leaf)):
            gone.append(row)
    erased = selection.erased_among([row.entry.uuid for row in gone]) if gone else set()
    for row in gone:
        said[row.entry_id] = "erased" if str(row.entry.uuid) in erased else "missing"
    return said


def _is_committed(leaf: bytes) -> bool:
    if b'"private":"' not in leaf:
        return False
    try:
        return "private" in json.loads(leaf)
    except ValueError:
        return True


def vkeys(epoch: int) -> list[str]:
    """Return the public keys that have signed checkpoints of an epoch, oldest first."""
    return list(LogKey.objects.filter(epoch_id=epoch).order_by("id").values_list("vkey", flat=True))


def write(
    target: Path,
    chosen: Selection | None = None,
    *,
    private: bool = False,
    extends: Sequence[str] = (),
    progress: Progress | None = None,
) -> None:
    """Write an export with its verifier into a folder, or into a .zip if `target` is named so.

    Raises:
        Invalid: if the target exists.
    """
    lines = jsonl(chosen, private=private, extends=extends, progress=progress)
    _refuse_existing(target)
    if target.suffix == ".zip":
        with zipfile.ZipFile(target, "x", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("export.jsonl", "w", force_zip64=True) as file:
                _copy(lines, file)
            for name, data in _companions():
                archive.writestr(name, data)
        return
    target.mkdir(parents=True)
    with (target / "export.jsonl").open("wb") as file:
        _copy(lines, file)
    for name, data in _companions():
        (target / name).write_bytes(data)


def _copy(lines: Iterable[bytes], file: IO[bytes]) -> None:
    for line in lines:
        file.write(line)


def _refuse_existing(target: Path) -> None:
    if target.exists():
        raise Invalid(f"{target} exists; an export is never written over another", field="output")


def _companions() -> Iterator[tuple[str, bytes]]:
    """The files beside the entries, but for those of a folder of tiles that differ by epoch."""
    head = newest()
    yield "verifier.py", VERIFIER.read_bytes()
    yield "README.txt", _README.encode()
    if head is not None:
        yield "checkpoint", head.note.encode()
        yield "vkey", "".join(f"{key}\n" for key in vkeys(head.epoch_id)).encode()


def write_tiles(target: Path, *, progress: Progress | None = None) -> None:
    """Write the log as static tlog-tiles files: the first epoch in `target`, later ones below it.

    Raises:
        Invalid: if the target exists.
    """
    _refuse_existing(target)
    heads = [head for epoch in Epoch.objects.order_by("number") if (head := newest(epoch.number))]
    total, done = sum(head.size for head in heads), 0
    for head in heads:
        folder = target if head.epoch_id == 1 else target / "epochs" / str(head.epoch_id)
        folder.mkdir(parents=True)
        (folder / "checkpoint").write_text(head.note)
        (folder / "vkey").write_text("".join(f"{key}\n" for key in vkeys(head.epoch_id)))
        (folder / "verifier.py").write_bytes(VERIFIER.read_bytes())
        (folder / "README.txt").write_text(_README)
        for level, count in tiles.layout(head.size).items():
            for row in Tile.objects.filter(epoch_id=head.epoch_id, level=level).iterator(500):
                width = min(count - row.n * tiles.WIDTH, tiles.WIDTH)
                if width > 0:
                    data = bytes(row.hashes)[: width * 32]
                    _put(folder / tiles.tile_path(level, row.n, width), data)
        for n in range(-(-head.size // tiles.WIDTH)):
            width = min(head.size - n * tiles.WIDTH, tiles.WIDTH)
            data = entry_bundle(head.epoch_id, n, width)
            _put(folder / tiles.tile_path("entries", n, width), data)
            done += width
            if progress:
                progress(done, total)


def entry_bundle(epoch: int, n: int, width: int) -> bytes:
    """Return the bundle of the `width` entries from 256 n on.

    Raises:
        TileError: if the log does not have them all.
    """
    first = n * tiles.WIDTH
    leaves = list(
        Leaf.objects.filter(epoch_id=epoch, index__gte=first, index__lt=first + width)
        .order_by("index")
        .values_list("entry__leaf", flat=True)
    )
    if len(leaves) < width:
        raise tiles.TileError(f"the log has no {width} entries from {first} on")
    return tiles.bundle(bytes(leaf) for leaf in leaves)


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
