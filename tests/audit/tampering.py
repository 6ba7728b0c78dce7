"""What an attacker with the database (and, where said, the log's key) can do. For tests alone."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

from audit import merkle, notes, signing, tiles, triggers
from audit.models import Checkpoint, Entry, Epoch, Leaf, Tile
from tests.append_only import drop_triggers


@contextmanager
def forged() -> Iterator[None]:
    """Act as the owner of the tables, who can drop the triggers and put them back."""
    drop_triggers()
    yield
    triggers.ensure(connection)


def rebuild(epoch: int = 1) -> None:
    """Recompute leaves, tiles and checkpoints from the entries as they now are, and sign again."""
    origin = Epoch.objects.get(number=epoch).origin
    sizes = list(Checkpoint.objects.filter(epoch_id=epoch).order_by("size"))
    own = Leaf.objects.filter(epoch_id=epoch)
    leaves = list(
        Entry.objects.filter(position__in=own).order_by("position__index")
        if own.exists()
        else Entry.objects.none()
    )
    hashes = [merkle.leaf_hash(bytes(entry.leaf)) for entry in leaves]
    own.delete()
    Leaf.objects.bulk_create(
        Leaf(entry=entry, epoch_id=epoch, index=i, hash=hashes[i]) for i, entry in enumerate(leaves)
    )
    Tile.objects.filter(epoch_id=epoch).delete()
    changed, _ = tiles.append({}, 0, hashes)
    Tile.objects.bulk_create(
        Tile(epoch_id=epoch, level=level, n=n, hashes=data) for (level, n), data in changed.items()
    )
    wanted = {min(row.size, len(leaves)) for row in sizes} | {len(leaves)}
    created = sizes[-1].created
    Checkpoint.objects.filter(epoch_id=epoch).delete()
    for size in sorted(wanted - {0}):
        root = merkle.tree_root(hashes[:size])
        note = notes.sign(notes.Checkpoint(origin, size, root).text(), signing.signers(origin))
        Checkpoint.objects.create(epoch_id=epoch, size=size, root=root, note=note, created=created)
