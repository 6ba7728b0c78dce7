"""Files behind the record, to be saved and never to be shown: what others uploaded is no page here."""

import base64
from typing import cast
from uuid import UUID

from django.http import FileResponse, Http404, HttpRequest, HttpResponse

from accounts.web import actor_of
from monitoring.models import CheckRun
from monitoring.selectors import WHOLE
from monitoring.services import read_restricted
from registry.models import Evidence
from registry.store import open_blob
from web.pages import find, page
from web.runs import CUBE

# Up to here the bytes are hashed again before they leave.
VERIFIED = 64 * 1024**2


@page()
def evidence(request: HttpRequest, evidence_id: UUID) -> HttpResponse:
    """The bytes of one piece of evidence."""
    row = find(Evidence.objects.select_related("blob"), request, pk=evidence_id)
    return _download(row.blob_id, row.name, row.media_type, row.blob.size)


@page()
def attachment(request: HttpRequest, run_id: UUID, name: str) -> HttpResponse:
    """A file that a check left; `cube.json` is the cube that its measurements were computed from.

    If that holds small counts, `cube.json` is without them. The whole and what else is restricted are
    for those who may see it, on record.
    """
    run = find(
        CheckRun.objects.select_related("version__model", "cube", "public_cube"), request, pk=run_id
    )
    cube = run.public_cube or run.cube
    if name == CUBE and cube is not None:
        return _download(cube.pk, name, "application/json", cube.size)
    if name == WHOLE and run.cube is not None:
        read_restricted(run, actor=actor_of(request))
        return _download(run.cube.pk, name, "application/json", run.cube.size)
    row = run.attachments.select_related("blob").filter(name=name).first()
    if row is None:
        raise Http404("the run has no such file")
    if row.restricted:
        read_restricted(run, name, actor=actor_of(request))
    return _download(row.blob_id, row.name, row.media_type, row.blob.size)


def _download(digest: str, name: str, media_type: str, size: int) -> HttpResponse:
    response = FileResponse(
        open_blob(digest, verify=size <= VERIFIED),
        as_attachment=True,
        filename=name,
        content_type=media_type,
    )
    response["X-Content-Type-Options"] = "nosniff"
    response["Content-Security-Policy"] = "sandbox; default-src 'none'"
    response["Repr-Digest"] = f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"
    # A streamed answer has all that a page's answer has but `content`.
    return cast(HttpResponse, response)
