"""The REST paths of this layer, under `/api/v1/`, and the public keys of its attestations."""

from django.urls import path

from governance.api import (
    gate,
    incidents,
    policies,
    reviews,
    standing,
    suspensions,
    waivers,
    wellknown,
)

_gate_urls = [
    path("gate/decisions/", gate.Decisions.as_view()),
    path("gate/decisions/<uuid:id>/", gate.DecisionDetail.as_view()),
    path("gate/enforce/", gate.Enforce.as_view()),
    # Without its slash a POST would be redirected, and a redirect passes some pipelines' steps.
    path("gate/enforce", gate.Enforce.as_view()),
]

_loop_urls = [
    path("models/<slug:name>/versions/<int:number>/standing/", standing.StandingView.as_view()),
    path("waivers/", waivers.Waivers.as_view()),
    path("waivers/<uuid:id>/", waivers.WaiverDetail.as_view()),
    path("waivers/<uuid:id>/grant/", waivers.WaiverGrant.as_view()),
    path("waivers/<uuid:id>/end/", waivers.WaiverEnd.as_view()),
    path("suspensions/", suspensions.Suspensions.as_view()),
    path("suspensions/<uuid:id>/", suspensions.SuspensionDetail.as_view()),
    path("suspensions/<uuid:id>/lift/", suspensions.SuspensionLift.as_view()),
    path("incidents/", incidents.Incidents.as_view()),
    path("incidents/<uuid:id>/", incidents.IncidentDetail.as_view()),
    path("incidents/<uuid:id>/classify/", incidents.IncidentClassify.as_view()),
    path("incidents/<uuid:id>/dismiss/", incidents.IncidentDismiss.as_view()),
    path("incidents/<uuid:id>/close/", incidents.IncidentClose.as_view()),
    path("findings/", incidents.Findings.as_view()),
    path("findings/<uuid:id>/close/", incidents.FindingClose.as_view()),
    path("retraining-requests/", incidents.RetrainingRequests.as_view()),
]

_VERSION = "models/<slug:name>/versions/<int:number>/"
_review_urls = [
    path("policies/", policies.Policies.as_view()),
    path("policies/<slug:name>/", policies.PolicyDetail.as_view()),
    path("policies/<slug:name>/bindings/", policies.PolicyBindings.as_view()),
    path("policies/<slug:name>/bindings/<uuid:id>/end/", policies.PolicyBindingEnd.as_view()),
    path(f"{_VERSION}dossier/", reviews.DossierOfVersion.as_view()),
    path(f"{_VERSION}reviews/", reviews.ReviewsOfVersion.as_view()),
    path(f"{_VERSION}actions/", reviews.VersionActions.as_view()),
    path(f"{_VERSION}reopen/", reviews.VersionReopening.as_view()),
    path("reviews/", reviews.Queue.as_view()),
    path("reviews/<uuid:id>/", reviews.ReviewDetail.as_view()),
    path("reviews/<uuid:id>/controls/", reviews.ReviewControls.as_view()),
    path("reviews/<uuid:id>/actions/", reviews.ReviewActions.as_view()),
    path("reviews/<uuid:id>/validations/", reviews.Validations.as_view()),
    path("reviews/<uuid:id>/signatures/", reviews.Signatures.as_view()),
    path("reviews/<uuid:id>/withdraw/", reviews.ReviewWithdrawal.as_view()),
    path("approvals/<uuid:id>/", reviews.ApprovalDetail.as_view()),
    path("approvals/<uuid:id>/actions/", reviews.ApprovalActions.as_view()),
    path("approvals/<uuid:id>/revoke/", reviews.ApprovalRevocation.as_view()),
]

api_urls = [*_review_urls, *_gate_urls, *_loop_urls]

well_known_urls = [
    path(".well-known/countersign/jwks.json", wellknown.jwks),
    path(".well-known/countersign/attestation.pem", wellknown.pem),
]
