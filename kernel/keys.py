"""Keys outside the database: made once, kept with their id and history, readable by the owner alone.

Each purpose has a folder `<data>/keys/<purpose>/`; the file name is the key's id, and the ids sort
by creation, so the last one is current and the others are history that still verifies.
"""

import os
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

Purpose = Literal["log", "attestation", "seal", "pepper"]
PrivateKey = ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey


@dataclass(frozen=True)
class Key:
    """One key. `secret` is set for the pepper alone, `certificate` for the seal alone."""

    id: str
    purpose: Purpose
    created: datetime
    signer: PrivateKey | None = None
    secret: bytes = b""
    certificate: x509.Certificate | None = None

    @property
    def ed25519(self) -> ed25519.Ed25519PrivateKey:
        assert isinstance(self.signer, ed25519.Ed25519PrivateKey)
        return self.signer

    @property
    def p256(self) -> ec.EllipticCurvePrivateKey:
        assert isinstance(self.signer, ec.EllipticCurvePrivateKey)
        return self.signer

    def public_pem(self) -> str:
        """The public half as PEM (SubjectPublicKeyInfo)."""
        assert self.signer is not None
        return (
            self.signer.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )


class KeyRing:
    """The keys of one installation, in one folder."""

    def __init__(self, folder: Path, *, organisation: str = "Countersign") -> None:
        self._folder = folder
        self._organisation = organisation

    def current(self, purpose: Purpose) -> Key:
        """The newest key of `purpose`; made on first use."""
        keys = self.history(purpose)
        return keys[-1] if keys else self.rotate(purpose)

    def history(self, purpose: Purpose) -> list[Key]:
        """All keys of `purpose`, oldest first."""
        folder = self._folder / purpose
        return [_read(path, purpose) for path in sorted(folder.glob("*.key"))]

    def rotate(self, purpose: Purpose) -> Key:
        """Make a new current key. Two processes that start at once agree on the first one."""
        folder = self._folder / purpose
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        existing = sorted(folder.glob("*.key"))
        number = int(existing[-1].stem.split("-")[0]) + 1 if existing else 1
        lock = folder / f"{number:04d}.lock"
        try:
            os.close(os.open(lock, os.O_CREAT | os.O_EXCL, 0o600))
        except FileExistsError:
            return self._await(purpose, number)
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        path = folder / f"{number:04d}-{stamp}.key"
        _write(path, _generate(purpose, self._organisation))
        return _read(path, purpose)

    def _await(self, purpose: Purpose, number: int) -> Key:
        import time

        for _ in range(200):
            found = [key for key in self.history(purpose) if key.id.startswith(f"{number:04d}-")]
            if found:
                return found[0]
            time.sleep(0.05)
        raise RuntimeError(
            f"the key {purpose}/{number:04d} was begun by another process and never written; "
            f"remove {self._folder / purpose / f'{number:04d}.lock'} and start again"
        )


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_suffix(".tmp")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.rename(path)


def _generate(purpose: Purpose, organisation: str) -> bytes:
    if purpose == "pepper":
        return secrets.token_bytes(32)
    signer: PrivateKey
    signer = (
        ed25519.Ed25519PrivateKey.generate()
        if purpose == "log"
        else ec.generate_private_key(ec.SECP256R1())
    )
    pem = signer.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    if purpose != "seal":
        return pem
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    return pem + _self_issued(signer, organisation).public_bytes(serialization.Encoding.PEM)


def _self_issued(signer: ec.EllipticCurvePrivateKey, organisation: str) -> x509.Certificate:
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
            x509.NameAttribute(NameOID.COMMON_NAME, f"{organisation} report seal"),
        ]
    )
    today = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signer.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(True, True, False, False, False, False, False, False, False),
            critical=True,
        )
        .sign(signer, hashes.SHA256())
    )


@lru_cache(maxsize=64)
def _read(path: Path, purpose: Purpose) -> Key:
    data = path.read_bytes()
    created = datetime.strptime(path.stem.split("-")[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if purpose == "pepper":
        return Key(path.stem, purpose, created, secret=data)
    signer = serialization.load_pem_private_key(data, None)
    assert isinstance(signer, ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey)
    certificate = x509.load_pem_x509_certificate(data) if purpose == "seal" else None
    return Key(path.stem, purpose, created, signer=signer, certificate=certificate)


def ring() -> KeyRing:
    """The installation's keys, as `COUNTERSIGN_DATA_DIR` says."""
    from django.conf import settings

    return KeyRing(
        settings.COUNTERSIGN.data_dir / "keys", organisation=settings.COUNTERSIGN.organisation
    )


def current(purpose: Purpose) -> Key:
    return ring().current(purpose)


def history(purpose: Purpose) -> list[Key]:
    return ring().history(purpose)
