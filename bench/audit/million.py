"""A long log: how fast it is sequenced, proven, exported and verified, and in how much memory."""

import base64
import hashlib
import hmac
import json
import os
import random
import secrets
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from django.db import connection

ROOT = Path(__file__).resolve().parents[2]
VERIFIER = ROOT / "client" / "countersign_client" / "verifier.py"
REASON = b'{"reason":"somebody said in a sentence or two why this was done, and it can be erased"}'


ACTORS = 200


def make_actors() -> None:
    """Make the map rows of the pseudonyms that the entries name: a verification misses lost ones."""
    from accounts.models import Pseudonym

    Pseudonym.objects.bulk_create(
        Pseudonym(subject=UUID(int=10_000 + number), pseudonym=UUID(int=number + 1))
        for number in range(ACTORS)
    )


def grow(number: int) -> float:
    """Add entries as writes leave them, by COPY; return the seconds that sequencing them took."""
    from audit.sequencer import Sequencer
    from kernel.identifiers import uuid7
    from kernel.moments import now, rfc3339

    at = now()
    first = _next_id()
    entries = connection.connection or (connection.ensure_connection() or connection.connection)
    columns = "id, uuid, leaf, at, type, actor_kind, actor, object_type, object_id, scope"
    with (
        entries.cursor() as cursor,
        cursor.copy(f"COPY audit_entry ({columns}) FROM STDIN") as copy,
    ):
        payloads: list[tuple[int, bytes]] = []
        for number_of in range(first, first + number):
            salt, identity, scope = secrets.token_bytes(32), uuid7(), UUID(int=number_of % 50 + 1)
            actor, about = UUID(int=number_of % ACTORS + 1), UUID(int=number_of + 1)
            leaf = {
                "actor": {"kind": "person", "ref": str(actor)},
                "at": rfc3339(at),
                "id": str(identity),
                "object": {"id": str(about), "type": "version"},
                "private": hmac.digest(salt, REASON, "sha256").hex(),
                "public": {
                    "kind": "performance",
                    "model": "credit-risk",
                    "number": number_of,
                    "revision": 3,
                },
                "scope": str(scope),
                "type": "bench.item.changed",
                "v": 1,
            }
            data = json.dumps(leaf, separators=(",", ":"), sort_keys=True).encode()
            copy.write_row(
                (
                    number_of,
                    identity,
                    data,
                    at,
                    leaf["type"],
                    "person",
                    actor,
                    "version",
                    str(about),
                    scope,
                )
            )
            payloads.append((number_of, salt))
    with entries.cursor() as cursor:
        with cursor.copy("COPY audit_privatepayload (entry_id, salt, data) FROM STDIN") as copy:
            for entry, salt in payloads:
                copy.write_row((entry, salt, REASON))
        with cursor.copy("COPY audit_pending (entry_id) FROM STDIN") as copy:
            for entry, _ in payloads:
                copy.write_row((entry,))
        cursor.execute(
            "SELECT setval(pg_get_serial_sequence('audit_entry', 'id'), (SELECT max(id) FROM audit_entry))"
        )
        cursor.execute("ANALYZE")
    begun = time.perf_counter()
    Sequencer(batch=10_000).drain()
    return time.perf_counter() - begun


def _next_id() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT COALESCE(max(id), 0) + 1 FROM audit_entry")
        return int(cursor.fetchone()[0])


def proofs_ms(number: int = 1000) -> tuple[float, float, float]:
    """Return median and 99th percentile of the milliseconds that an inclusion proof takes, and how much
    of it is this process's own computing, in the mean."""
    from audit import proofs
    from audit.models import Entry, Leaf

    size = Leaf.objects.count()
    chosen = random.sample(range(size), min(number, size))
    uuids = list(Entry.objects.filter(position__index__in=chosen).values_list("uuid", flat=True))
    random.shuffle(uuids)
    times: list[float] = []
    computing = time.process_time()
    for uuid in uuids:
        begun = time.perf_counter()
        proof = proofs.inclusion(uuid)
        times.append((time.perf_counter() - begun) * 1000)
        assert proof is not None
    computing = (time.process_time() - computing) * 1000 / len(times)
    return statistics.median(times), statistics.quantiles(times, n=100)[98], computing


@dataclass(frozen=True)
class Took:
    """Seconds on the clock, seconds of processor time of all its processes, MB of the largest of them."""

    seconds: float
    processor: float
    memory: float

    def __str__(self) -> str:
        return (
            f"{self.seconds:.1f} s ({self.processor:.1f} s of processor time), {self.memory:.0f} MB"
        )


def command(*arguments: str, settings: str) -> Took:
    """Run one of ours and say what it took."""
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": settings}
    script = (
        "import resource, subprocess, sys, time; begun = time.perf_counter();"
        "done = subprocess.run(sys.argv[1:], capture_output=True, text=True);"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(time.perf_counter() - begun, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024);"
        "sys.stderr.write(done.stdout + done.stderr); sys.exit(done.returncode)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, sys.executable, *arguments],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr)
    return Took(*map(float, done.stdout.split()))


def hashing_alone(export: Path) -> tuple[float, float]:
    """Return the seconds of processor time that hashlib takes for the digests that verifying the export needs, and for
    the bytes of the file from end to end. One process, the messages in memory already."""
    alone = 0.0
    with export.open("rb") as file:
        while lines := file.readlines(4_000_000):
            leaves, payloads = _messages(lines)
            pairs = [bytes(65)] * len(leaves)
            alone += _timed(lambda: [hashlib.sha256(one).digest() for one in leaves])  # noqa: B023
            alone += _timed(lambda: [hashlib.sha256(one).digest() for one in pairs])  # noqa: B023
            alone += _timed(lambda: [hmac.digest(s, d, "sha256") for s, d in payloads])  # noqa: B023
    whole = hashlib.sha256()
    stream = 0.0
    with export.open("rb") as file:
        while block := file.read(1 << 20):
            stream += _timed(lambda: whole.update(block))
    return alone, stream


def _messages(lines: list[bytes]) -> tuple[list[bytes], list[tuple[bytes, bytes]]]:
    leaves: list[bytes] = []
    payloads: list[tuple[bytes, bytes]] = []
    for raw in lines:
        line = json.loads(raw)
        if line["kind"] == "entry":
            leaves.append(b"\x00" + line["leaf"].encode())
            if isinstance(line.get("private"), dict):
                private = line["private"]
                payloads.append(
                    (base64.b64decode(private["salt"]), base64.b64decode(private["data"]))
                )
    return leaves, payloads


def _timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun
