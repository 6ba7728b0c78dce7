"""The seal: a PAdES B-B signature by the installation over the whole archival file.

It is appended, so the sealed file begins with the unsigned bytes, which stay reproducible. People
sign in the service; the seal says that this installation issued the file and nothing changed since.
"""

import io

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

FIELD = "Seal"


def seal(pdf: bytes, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> bytes:
    """Return `pdf` with the seal appended.

    Args:
        key: the installation's P-256 seal key.
        certificate: of that key; its subject is what a reader shows as the signer.

    The seal allows later additions only of validation data and time stamps, never of content.
    """
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    metadata = signers.PdfSignatureMetadata(
        field_name=FIELD,
        md_algorithm="sha256",
        subfilter=fields.SigSeedSubFilter.PADES,
        certify=True,
        docmdp_permissions=fields.MDPPerm.FILL_FORMS,
        reason="Issued by this installation; unchanged since",
        embed_validation_info=False,
        use_pades_lta=False,
    )
    out = io.BytesIO()
    signers.PdfSigner(metadata, _signer(key, certificate)).sign_pdf(writer, output=out)
    sealed = out.getvalue()
    if not sealed.startswith(pdf):
        raise RuntimeError("the sealed file does not begin with the unsigned bytes")
    return sealed


def _signer(key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> signers.SimpleSigner:
    encoded = key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    own = asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
    store = SimpleCertificateStore()
    store.register(own)
    return signers.SimpleSigner(
        signing_cert=own,
        signing_key=asn1_keys.PrivateKeyInfo.load(encoded),
        cert_registry=store,
    )
