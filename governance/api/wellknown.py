"""The public keys of the attestations, for whoever verifies one without asking the gate again."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from governance import attestations
from kernel import keys

_CACHE = "public, max-age=300"


@require_safe
def jwks(request: HttpRequest) -> HttpResponse:
    """All keys that ever signed, newest first: an attestation outlives a rotation."""
    found = [attestations.jwk(key.p256.public_key()) for key in _keys()]
    return JsonResponse({"keys": found}, headers={"Cache-Control": _CACHE})


@require_safe
def pem(request: HttpRequest) -> HttpResponse:
    """The same as PEM (SubjectPublicKeyInfo), one after the other."""
    text = "".join(key.public_pem() for key in _keys())
    return HttpResponse(
        text, content_type="application/x-pem-file", headers={"Cache-Control": _CACHE}
    )


def _keys() -> list[keys.Key]:
    keys.current("attestation")
    return list(reversed(keys.history("attestation")))
