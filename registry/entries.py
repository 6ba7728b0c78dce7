"""What this layer writes into the audit log. The scope of its entries is the id of the model.

`user`, `author` and `seconded_by` are pseudonyms.
"""

from uuid import UUID

from audit import administration
from audit.catalogue import define

define("registry.legal_entity.registered", slug=str)
define("registry.portfolio.registered", slug=str)
define("registry.model.registered", model=str, kind=str, portfolio=str, legal_entity=str)
define("registry.model.amended", model=str, fields=list[str], versions=int)
define("registry.model.retired", model=str, versions=int)
define(
    "registry.use.registered",
    model=str,
    use=str,
    operator_role=str,
    legal_entity=str,
    is_default=bool,
)
define("registry.use.amended", model=str, use=str, fields=list[str], versions=int)
define("registry.use.retired", model=str, use=str)
define("registry.tier.set", model=str, use=str, tier=int, previous=int | None, versions=int)
define("registry.columns.declared", model=str, mapping=UUID, digest=str, versions=int)
define("registry.stakeholder.added", model=str, stakeholder=UUID)
define("registry.stakeholder.ended", model=str, stakeholder=UUID)
define(
    "registry.version.registered",
    model=str,
    number=int,
    artifact_digest=str,
    artifact_format=str,
    author=UUID,
    datasets=list[str],
    parent=int | None,
)
define("registry.version.amended", model=str, number=int, fields=list[str], revision=int)
define("registry.version.reopened", model=str, number=int, revision=int)
define("registry.version.retired", model=str, number=int)
define("registry.artifact.stored", model=str, number=int, artifact_digest=str, size=int)
define(
    "registry.evidence.added",
    model=str,
    number=int,
    kind=str,
    digest=str,
    size=int,
    is_addendum=bool,
    revision=int,
)
define(
    "registry.dataset.registered",
    dataset=str,
    digest=str,
    sources=list[str],
    stored=bool,
    digest_of=str | None,
    location_digest=str | None,
)
define("registry.dataset.stored", dataset=str, digest=str, size=int)
define("registry.environment.registered", environment=str, mode=str, position=int)
define(
    "registry.environment.changed",
    environment=str,
    mode=str,
    previous_mode=str,
    position=int,
    seconded_by=UUID | None,
)
define("registry.mode.proposed", environment=str, mode=str, proposal=UUID)
define(
    "registry.deployment.recorded",
    model=str,
    number=int,
    use=str,
    environment=str,
    kind=str,
    artifact_digest=str,
    gate_decision=UUID | None,
    is_rollback=bool,
    ended=list[UUID],
)
define("registry.deployment.ended", model=str, number=int, use=str, environment=str, kind=str)
define("registry.role.granted", user=UUID, role=str, model=str | None, portfolio=str | None)
define("registry.role.ended", user=UUID, role=str, model=str | None, portfolio=str | None)
administration.covers(
    "registry.legal_entity.*",
    "registry.portfolio.*",
    "registry.environment.*",
    "registry.mode.*",
    "registry.role.*",
)
