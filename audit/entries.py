"""The audit layer's own entry types."""

from uuid import UUID

from audit import administration
from audit.catalogue import define

define("audit.write.refused", operation=str, code=str, field=str | None)
define("audit.payload.erased", entry=UUID, basis=str)
define(
    "audit.epoch.started",
    epoch=int,
    origin=str,
    cited_origin=str | None,
    cited_size=int | None,
    cited_root=str | None,
    kept_size=int | None,
)
define("audit.webhook.added", patterns=list[str], host=str)
define("audit.webhook.disabled")
define("audit.webhook.secret_rotated", generation=int)
define(
    "audit.process.started",
    component=str,
    code=str,
    settings=str,
    packages=str,
    python=str,
    changed=list[str],
)
administration.covers(
    "audit.payload.erased", "audit.epoch.started", "audit.webhook.*", "audit.process.started"
)
