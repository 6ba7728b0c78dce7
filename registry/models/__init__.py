"""What is governed: models, what they are used for, their versions, evidence, data and environments."""

from registry.models.datasets import Dataset, DatasetLineage, DatasetUse
from registry.models.environments import Deployment, Environment, EnvironmentSetting, ModeProposal
from registry.models.registered import (
    ColumnMapping,
    LegalEntity,
    Portfolio,
    RegisteredModel,
    RegisteredModelUserPermission,
    RoleGrant,
    Stakeholder,
    Use,
    UseTier,
)
from registry.models.versions import Blob, Evidence, ModelVersion, RevisionChange

__all__ = [
    "Blob",
    "ColumnMapping",
    "Dataset",
    "DatasetLineage",
    "DatasetUse",
    "Deployment",
    "Environment",
    "EnvironmentSetting",
    "Evidence",
    "LegalEntity",
    "ModeProposal",
    "ModelVersion",
    "Portfolio",
    "RegisteredModel",
    "RegisteredModelUserPermission",
    "RevisionChange",
    "RoleGrant",
    "Stakeholder",
    "Use",
    "UseTier",
]
