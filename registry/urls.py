from django.urls import path

from registry.api import datasets, models, places, versions

_MODEL = "models/<slug:name>/"
_VERSION = f"{_MODEL}versions/<int:number>/"

api_urls = [
    path("models/", models.Models.as_view()),
    path(_MODEL, models.Model.as_view()),
    path(f"{_MODEL}retire/", models.ModelRetirement.as_view()),
    path(f"{_MODEL}columns/", models.Columns.as_view()),
    path(f"{_MODEL}stakeholders/", models.Stakeholders.as_view()),
    path(f"{_MODEL}stakeholders/<uuid:stakeholder_id>/end/", models.StakeholderEnd.as_view()),
    path(f"{_MODEL}uses/", models.Uses.as_view()),
    path(f"{_MODEL}uses/<slug:use>/", models.OneUse.as_view()),
    path(f"{_MODEL}uses/<slug:use>/retire/", models.UseRetirement.as_view()),
    path(f"{_MODEL}uses/<slug:use>/tiers/", models.Tiers.as_view()),
    path(f"{_MODEL}grants/", models.Grants.as_view()),
    path(f"{_MODEL}versions/", versions.Versions.as_view()),
    path(_VERSION, versions.Version.as_view()),
    path(f"{_VERSION}artifact/", versions.Artifact.as_view()),
    path(f"{_VERSION}evidence/", versions.VersionEvidence.as_view()),
    path(f"{_VERSION}evidence/<uuid:evidence_id>/content/", versions.EvidenceContent.as_view()),
    path("grants/<uuid:grant_id>/end/", models.GrantEnd.as_view()),
    path("portfolios/", models.Portfolios.as_view()),
    path("portfolios/<slug:name>/grants/", models.PortfolioGrants.as_view()),
    path("legal-entities/", models.LegalEntities.as_view()),
    path("datasets/", datasets.Datasets.as_view()),
    path("datasets/<slug:name>/", datasets.OneDataset.as_view()),
    path("datasets/<slug:name>/content/", datasets.DatasetContent.as_view()),
    path("sources/", datasets.Sources.as_view()),
    path("environments/", places.Environments.as_view()),
    path("environments/<slug:name>/mode/", places.Mode.as_view()),
    path("environments/<slug:name>/mode/second/", places.ModeSecond.as_view()),
    path("deployments/", places.Deployments.as_view()),
    path("deployments/<uuid:deployment_id>/end/", places.DeploymentEnd.as_view()),
]
