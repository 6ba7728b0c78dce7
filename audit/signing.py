"""The log's keys as signers and verifiers of notes under an epoch's origin."""

from collections.abc import Iterable

from django.conf import settings

from audit.models import Epoch, LogKey
from audit.notes import Signer, Verifier, parse_vkey
from kernel import keys


def signers(origin: str) -> list[Signer]:
    """Return the current key and, so that receivers have time to learn it, the one before."""
    keys.current("log")
    return [Signer(origin, key.ed25519) for key in keys.history("log")[-2:]]


def own_verifiers(origin: str) -> list[Verifier]:
    """Return every key that this installation has signed with, from its key files."""
    return [Signer(origin, key.ed25519).verifier for key in keys.history("log")]


def recorded_verifiers(epoch: int | None = None) -> list[Verifier]:
    """Return the public keys that the database names: for readers, who hold no key files."""
    rows: Iterable[LogKey] = LogKey.objects.order_by("id")
    if epoch is not None:
        rows = LogKey.objects.filter(epoch_id=epoch).order_by("id")
    return [parse_vkey(row.vkey) for row in rows]


def vkeys() -> list[str]:
    """Return the log's verifier keys from its key files, oldest first, for handing to an auditor.

    They are named after the first epoch; verifiers take them for the later epochs below it too.
    """
    first = Epoch.objects.filter(number=1).values_list("origin", flat=True).first()
    return [key.vkey for key in own_verifiers(first or settings.COUNTERSIGN.log_origin)]
