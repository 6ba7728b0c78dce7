from django.urls import path

from audit import api, api_administration, log_views

_ENDPOINT = "webhook-endpoints/<uuid:endpoint_id>/"

api_urls = [
    path("audit/entries/", api.Entries.as_view()),
    path("audit/entries/<uuid:uuid>/", api.OneEntry.as_view()),
    path("audit/entries/<uuid:uuid>/erase/", api.Erasure.as_view()),
    path("audit/proofs/consistency/", api.ConsistencyProof.as_view()),
    path("audit/proofs/<uuid:uuid>/", api.InclusionProof.as_view()),
    path("audit/administration/", api_administration.Administration.as_view()),
    path("audit/administration.csv", api_administration.AdministrationTable.as_view()),
    path("audit/anchors/", api.Anchors.as_view()),
    path("audit/status/", api.Status.as_view()),
    path("webhook-endpoints/", api.Endpoints.as_view()),
    path(f"{_ENDPOINT}disable/", api.EndpointDisabling.as_view()),
    path(f"{_ENDPOINT}secret/", api.EndpointSecret.as_view()),
    path(f"{_ENDPOINT}deliveries/", api.EndpointDeliveries.as_view()),
]

log_urls = [
    path("epochs", log_views.epochs),
    *[
        route
        for prefix in ("", "epochs/<int:epoch>/")
        for route in (
            path(f"{prefix}vkey", log_views.vkey),
            path(f"{prefix}checkpoint", log_views.checkpoint),
            path(f"{prefix}tile/entries/<path:index>", log_views.Bundle.as_view()),
            path(f"{prefix}tile/<int:level>/<path:index>", log_views.tile),
        )
    ],
]
