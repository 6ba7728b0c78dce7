"""ECDSA P-256 with SHA-256, verification alone, with nothing but Python (SEC 1, FIPS 186-5).

Nothing secret passes through here, so nothing needs to run in constant time.
"""

import base64
import binascii
import hashlib

_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
# DER of a SubjectPublicKeyInfo with id-ecPublicKey, prime256v1 and an uncompressed point (RFC 5480).
_SPKI = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
Point = tuple[int, int]
_Jacobian = tuple[int, int, int]


class KeyFormatError(ValueError):
    """The public key is no P-256 key in a form that is read here."""


def public_key(pem: str) -> Point:
    """Read a PEM public key (SubjectPublicKeyInfo, uncompressed).

    Raises:
        KeyFormatError: if it is anything else, or not a point of the curve.
    """
    lines = [line.strip() for line in pem.strip().splitlines()]
    if lines[:1] != ["-----BEGIN PUBLIC KEY-----"] or lines[-1:] != ["-----END PUBLIC KEY-----"]:
        raise KeyFormatError("expected a PEM public key")
    try:
        der = base64.b64decode("".join(lines[1:-1]), validate=True)
    except (binascii.Error, ValueError):
        raise KeyFormatError("the PEM public key is not base64") from None
    if not der.startswith(_SPKI) or len(der) != len(_SPKI) + 65 or der[len(_SPKI)] != 4:
        raise KeyFormatError("expected an uncompressed P-256 public key")
    point = der[len(_SPKI) + 1 :]
    return check_point(int.from_bytes(point[:32], "big"), int.from_bytes(point[32:], "big"))


def check_point(x: int, y: int) -> Point:
    """Return (x, y) if it is on the curve.

    Raises:
        KeyFormatError: if it is not.
    """
    if not (0 <= x < _P and 0 <= y < _P) or (y * y - (x * x * x - 3 * x + _B)) % _P:
        raise KeyFormatError("the public key is not on the curve")
    return x, y


def _double(point: _Jacobian) -> _Jacobian:
    x, y, z = point
    if not y or not z:
        return 0, 1, 0
    square = y * y % _P
    s = 4 * x * square % _P
    m = 3 * (x - z * z) * (x + z * z) % _P
    x2 = (m * m - 2 * s) % _P
    return x2, (m * (s - x2) - 8 * square * square) % _P, 2 * y * z % _P


def _add(a: _Jacobian, b: _Jacobian) -> _Jacobian:
    if not a[2]:
        return b
    if not b[2]:
        return a
    za, zb = a[2] * a[2] % _P, b[2] * b[2] % _P
    ua, ub = a[0] * zb % _P, b[0] * za % _P
    sa, sb = a[1] * zb * b[2] % _P, b[1] * za * a[2] % _P
    if ua == ub:
        return _double(a) if sa == sb else (0, 1, 0)
    h, r = (ub - ua) % _P, (sb - sa) % _P
    h2 = h * h % _P
    h3, v = h * h2 % _P, ua * h2 % _P
    x = (r * r - h3 - 2 * v) % _P
    return x, (r * (v - x) - sa * h3) % _P, h * a[2] * b[2] % _P


def _multiply(scalar: int, point: Point) -> _Jacobian:
    result: _Jacobian = (0, 1, 0)
    base: _Jacobian = (*point, 1)
    while scalar:
        if scalar & 1:
            result = _add(result, base)
        base = _double(base)
        scalar >>= 1
    return result


def parse_signature(signature: bytes) -> tuple[int, int] | None:
    """Read r and s from 64 plain bytes, or from DER; None if it is neither in its strict form."""
    if len(signature) == 64:
        return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if len(signature) < 8 or signature[0] != 0x30 or signature[1] != len(signature) - 2:
        return None
    numbers: list[int] = []
    at = 2
    for _ in range(2):
        if at + 2 > len(signature) or signature[at] != 2:
            return None
        length = signature[at + 1]
        data = signature[at + 2 : at + 2 + length]
        if (
            not data
            or len(data) != length
            or data[0] & 0x80
            or (length > 1 and not data[0] and not data[1] & 0x80)
        ):
            return None
        numbers.append(int.from_bytes(data, "big"))
        at += 2 + length
    return (numbers[0], numbers[1]) if at == len(signature) else None


def verify(key: Point, message: bytes, signature: bytes) -> bool:
    """Say whether `signature`, DER or 64 bytes r || s, over `message` was made with `key`."""
    forms = [parse_signature(signature)]
    if len(signature) == 64 and signature[0] == 0x30:
        # 64 bytes that begin like DER may be either.
        forms.append(_short_der(signature))
    return any(form is not None and _holds(key, message, *form) for form in forms)


def _short_der(signature: bytes) -> tuple[int, int] | None:
    length = signature[3] if signature[2] == 2 else 0
    first, rest = signature[4 : 4 + length], signature[4 + length :]
    if signature[1] != 62 or len(rest) < 3 or rest[0] != 2 or rest[1] != len(rest) - 2:
        return None
    return int.from_bytes(first, "big"), int.from_bytes(rest[2:], "big")


def _holds(key: Point, message: bytes, r: int, s: int) -> bool:
    if not (0 < r < _N and 0 < s < _N):
        return False
    digest = int.from_bytes(hashlib.sha256(message).digest(), "big")
    inverse = pow(s, -1, _N)
    x, _, z = _add(_multiply(digest * inverse % _N, _G), _multiply(r * inverse % _N, key))
    if not z:
        return False
    return x * pow(z * z, -1, _P) % _P % _N == r
