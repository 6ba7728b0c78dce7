"""What this layer writes into the audit log. `user` and `person` are pseudonyms, never ids."""

from uuid import UUID

from audit import administration
from audit.catalogue import define

define("accounts.user.created", user=UUID, kind=str)
define("accounts.user.deactivated", user=UUID)
define("accounts.person.erased", user=UUID, basis=str, payloads=int, kept=int)
define("accounts.responsibility.started", service=UUID, person=UUID)
define("accounts.responsibility.ended", service=UUID, person=UUID)
define("accounts.role.granted", user=UUID, role=str)
define("accounts.role.ended", user=UUID, role=str)
define("accounts.token.issued", token=str, user=UUID, scopes=list, expires_at=str)
define("accounts.token.revoked", token=str, user=UUID)
define("accounts.password.changed", user=UUID)
define("accounts.password.reset", user=UUID)
define("accounts.reauthentication.granted", subject_type=str, subject=str, method=str)
define("accounts.session.started", user=UUID)
administration.covers(
    "accounts.user.*",
    "accounts.person.*",
    "accounts.responsibility.*",
    "accounts.role.*",
    "accounts.token.*",
    "accounts.password.reset",
)
