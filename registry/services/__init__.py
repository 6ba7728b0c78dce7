"""Every write of the registry, and the steps that layers above share."""

from registry.services.datasets import Contents, Source, register_dataset, store_dataset
from registry.services.deployments import (
    end_deployment,
    record_deployment,
    register_decision_check,
)
from registry.services.environments import make_environment, second_mode, set_mode
from registry.services.evidence import add_evidence, store_document
from registry.services.grants import end_role, grant_role
from registry.services.organisation import register_legal_entity, register_portfolio
from registry.services.registration import (
    StakeholderRecord,
    add_stakeholder,
    amend_model,
    declare_columns,
    end_stakeholder,
    register_model,
    retire_model,
)
from registry.services.steps import (
    blob_of,
    bump,
    freeze,
    is_unchanged,
    lock_model,
    lock_version,
    lock_versions,
    permit,
    tick,
    user_id_of,
)
from registry.services.uses import UseRecord, add_use, amend_use, retire_use, set_tier
from registry.services.versions import (
    DatasetLink,
    amend_version,
    register_version,
    reopen_version,
    retire_version,
    store_artifact,
)

__all__ = [
    "Contents",
    "DatasetLink",
    "Source",
    "StakeholderRecord",
    "UseRecord",
    "add_evidence",
    "add_stakeholder",
    "add_use",
    "amend_model",
    "amend_use",
    "amend_version",
    "blob_of",
    "bump",
    "declare_columns",
    "end_deployment",
    "end_role",
    "end_stakeholder",
    "freeze",
    "grant_role",
    "is_unchanged",
    "lock_model",
    "lock_version",
    "lock_versions",
    "make_environment",
    "permit",
    "record_deployment",
    "register_dataset",
    "register_decision_check",
    "register_legal_entity",
    "register_model",
    "register_portfolio",
    "register_version",
    "reopen_version",
    "retire_model",
    "retire_use",
    "retire_version",
    "second_mode",
    "set_mode",
    "set_tier",
    "store_artifact",
    "store_dataset",
    "store_document",
    "tick",
    "user_id_of",
]
