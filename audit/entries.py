"""The audit layer's own entry types."""

from typing import Optional
from uuid import UUID

from audit.catalogue import define

define("audit.write.refused", operation=str, code=str, field=Optional[str])
define("audit.payload.erased", entry=UUID, basis=str)
define(
    "audit.epoch.started",
    epoch=int,
    origin=str,
    cited_origin=Optional[str],
    cited_size=Optional[int],
    cited_root=Optional[str],
    kept_size=Optional[int],
)
define("audit.webhook.added", types=list[str], host=str)
define("audit.webhook.disabled")
define("audit.webhook.secret_rotated", generation=int)
