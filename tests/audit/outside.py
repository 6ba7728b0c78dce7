"""What stands outside in the tests: a C2SP witness and a time stamp authority, over real HTTP."""

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from audit import cosignatures, merkle, notes

Answer = tuple[int, str, bytes]


@contextmanager
def served(answer: "Witness | Authority") -> Iterator[tuple[str, str]]:
    """Serve on loopback; yield (url, host:port)."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            status, kind, data = answer.answer(self.path, body)
            self.send_response(status)
            self.send_header("content-type", kind)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    place = f"127.0.0.1:{server.server_port}"
    try:
        yield f"http://{place}", place
    finally:
        server.shutdown()
        server.server_close()


class Witness:
    """Cosigns as c2sp.org/tlog-witness asks; `known` is the head it cosigned last."""

    def __init__(self, name: str, log: list[notes.Verifier], *, post_quantum: bool = False) -> None:
        self.name, self.log = name, log
        self.key = MLDSA44PrivateKey.generate() if post_quantum else Ed25519PrivateKey.generate()
        algorithm = cosignatures.ML_DSA_44 if post_quantum else cosignatures.ED25519
        self.witness = cosignatures.Witness(
            name, algorithm, self.key.public_key().public_bytes_raw()
        )
        self.known: notes.Checkpoint | None = None
        self.asked: list[int] = []
        self.time = 1_700_000_000

    def answer(self, path: str, body: bytes) -> Answer:
        assert path == "/w/add-checkpoint"
        head, _, note = body.decode().partition("\n\n")
        first, *proof = head.split("\n")
        old = int(first.removeprefix("old "))
        self.asked.append(old)
        try:
            new = notes.open_checkpoint(note, self.log)
        except notes.NoteError:
            return 403, "text/plain", b""
        size = self.known.size if self.known else 0
        if old != size:
            return 409, "text/x.tlog.size", f"{size}\n".encode()
        if self.known and old == new.size and self.known.root != new.root:
            return 409, "text/plain", b"another root\n"
        if self.known and old < new.size:
            hashes_ = [base64.b64decode(line) for line in proof]
            try:
                merkle.verify_consistency(old, new.size, hashes_, self.known.root, new.root)
            except merkle.ProofError:
                return 422, "text/plain", b""
        self.known = new
        return 200, "text/plain", (self.stranger() + self.cosign(note)).encode()

    def cosign(self, note: str) -> str:
        text = notes.parse(note).text
        if self.witness.algorithm == cosignatures.ED25519:
            message = f"cosignature/v1\ntime {self.time}\n{text}".encode()
        else:
            message = cosignatures.mldsa_message(self.name, self.time, text)
        value = self.time.to_bytes(8, "big") + self.key.sign(message)
        return notes.Signature(self.name, self.witness.id, value).line()

    def stranger(self) -> str:
        return notes.Signature("stranger.example/w", b"abcd", bytes(72)).line()

    def policy(self, url: str) -> str:
        return (
            f"# who cosigns\nlog {self.log[0].vkey}\n\n"
            f"witness one {self.witness.vkey} {url}/w/\ngroup all-of-them all one\nquorum all-of-them\n"
        )


def certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: "tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None",
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    today = datetime.now(UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    )
    if issuer:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        builder = builder.add_extension(usage, critical=True)
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


class Authority:
    """A time stamp authority: `openssl ts` with a certificate of our own making."""

    CONFIG = """[tsa]
default_tsa = t
[t]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
"""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        root = certificate("Root", root_key, None)
        own = certificate("Time stamps", key, (root, root_key))
        pem = serialization.Encoding.PEM
        (folder / "root.pem").write_bytes(root.public_bytes(pem))
        (folder / "tsa.pem").write_bytes(own.public_bytes(pem))
        (folder / "tsa.key").write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(self.CONFIG.format(folder=folder))
        self.status = 200

    def answer(self, path: str, body: bytes) -> Answer:
        (self.folder / "query").write_bytes(body)
        subprocess.run(
            ["openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query", "-signer",
             "tsa.pem", "-inkey", "tsa.key", "-out", "reply"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip
        return self.status, "application/timestamp-reply", (self.folder / "reply").read_bytes()
