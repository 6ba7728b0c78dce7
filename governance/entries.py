"""What this layer writes into the audit log. The scope of its entries is the id of the model."""

from datetime import datetime
from uuid import UUID

from audit.catalogue import define

define(
    "governance.waiver.requested",
    model=str,
    number=int,
    use=str,
    environment=str,
    controls=list[str],
    ends_at=datetime,
)
for _what in ("granted", "refused", "ended"):
    define(
        f"governance.waiver.{_what}",
        model=str,
        number=int,
        use=str,
        environment=str,
        controls=list[str],
        ends_at=datetime,
    )
for _what in ("started", "lifted"):
    define(
        f"governance.suspension.{_what}",
        model=str,
        number=int,
        use=str,
        environment=str,
        effect=str,
        breach=UUID | None,
    )
define(
    "governance.incident.opened",
    model=str,
    number=int,
    use=str,
    environment=str,
    breach=UUID | None,
)
define(
    "governance.incident.classified",
    model=str,
    number=int,
    use=str,
    environment=str,
    incident_class=str,
    aware_at=datetime,
)
for _what in ("dismissed", "closed"):
    define(f"governance.incident.{_what}", model=str, number=int, use=str, environment=str)
define(
    "governance.finding.opened",
    model=str,
    number=int,
    severity=str,
    breach=UUID | None,
    due_at=datetime | None,
)
define("governance.finding.closed", model=str, number=int, severity=str)
define(
    "governance.retraining.requested",
    model=str,
    number=int,
    breach=UUID | None,
    incident=UUID | None,
)
define("governance.retraining.answered", model=str, number=int, answered_by=int)
define(
    "governance.gate_decision.made",
    answer=str,
    judged=str,
    verdict=str,
    mode=str,
    purpose=str,
    path=str,
    standing=str,
    model=str | None,
    number=int | None,
    use=str | None,
    environment=str | None,
    artifact_digest=str | None,
    policy=str | None,
    policy_revision=int | None,
    policy_digest=str | None,
    denied_by=list[str],
    waivers=list[str],
    not_after=datetime | None,
    attestation_digest=str | None,
)

define(
    "governance.policy.published",
    policy=str,
    number=int,
    digest=str,
    transition=str,
    transition_at=datetime | None,
)
for _what in ("bound", "unbound"):
    define(f"governance.policy.{_what}", policy=str, environment=str, tier=int | None)
define(
    "governance.review.opened",
    model=str,
    number=int,
    use=str,
    environment=str,
    revision=int,
    dossier=str,
    policy=str,
    policy_revision=int,
    policy_digest=str,
    signed_digest=str,
    failing=list[str],
)
define(
    "governance.validation.written",
    model=str,
    number=int,
    use=str,
    environment=str,
    review=UUID,
    dossier=str,
    rating=str,
    findings=list[UUID],
)
define(
    "governance.review.signed",
    model=str,
    number=int,
    use=str,
    environment=str,
    signature=UUID,
    role=str,
    decision=str,
    meaning=str,
    method=str,
    signed_digest=str,
)
for _what in ("rejected", "withdrawn", "superseded"):
    define(
        f"governance.review.{_what}",
        model=str,
        number=int,
        use=str,
        environment=str,
        signed_digest=str,
    )
define(
    "governance.approval.granted",
    model=str,
    number=int,
    use=str,
    environment=str,
    review=UUID,
    revision=int,
    dossier=str,
    policy=str,
    policy_revision=int,
    signed_digest=str,
    valid_until=datetime,
    is_conditional=bool,
    monitors=list[UUID],
)
define(
    "governance.approval.revoked",
    model=str,
    number=int,
    use=str,
    environment=str,
    signed_digest=str,
)
