"""What this layer writes into the audit log."""

from audit.catalogue import define

define("accounts.user.created", user=str, kind=str)
define("accounts.user.deactivated", user=str)
define("accounts.responsibility.started", service=str, person=str)
define("accounts.responsibility.ended", service=str, person=str)
define("accounts.role.granted", user=str, role=str)
define("accounts.role.ended", user=str, role=str)
define("accounts.token.issued", token=str, user=str, scopes=list, expires_at=str)
define("accounts.token.revoked", token=str, user=str)
define("accounts.password.changed", user=str)
define("accounts.reauthentication.granted", subject_type=str, subject=str, method=str)
define("accounts.session.started", user=str)
