"""What this layer writes into the audit log. The scope of its entries is the id of the model."""

from datetime import datetime

from audit.catalogue import define

_PLACE = {"model": str, "number": int, "use": str, "environment": str}

define("reports.report.requested", kind=str, **_PLACE)
define("reports.report.started", attempt=int, cut_off=datetime, **_PLACE)
define(
    "reports.report.frozen", bundle_digest=str, cut_off=datetime, supersedes=str | None, **_PLACE
)
define(
    "reports.report.issued",
    bundle_digest=str,
    content_digest=str,
    file_digest=str,
    template_version=str,
    seal_key=str,
    **_PLACE,
)
define("reports.report.failed", attempt=int, code=str, **_PLACE)
