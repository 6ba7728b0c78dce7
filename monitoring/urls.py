"""The REST paths of this layer, under `/api/v1/`."""

from django.urls import path

from monitoring import api

api_urls = [
    path("models/<slug:name>/versions/<int:number>/checks/", api.Checks.as_view()),
    path("models/<slug:name>/not-collected/", api.Declarations.as_view()),
    path("not-collected/<uuid:id>/end/", api.DeclarationEnd.as_view()),
    path("check-runs/<uuid:id>/", api.CheckRunDetail.as_view()),
    path("check-runs/<uuid:id>/cube/", api.CheckRunCube.as_view()),
    path("check-runs/<uuid:id>/cube/erase/", api.CheckRunCubeErasure.as_view()),
    path("check-runs/<uuid:id>/cancel/", api.CheckRunCancel.as_view()),
    path("check-runs/<uuid:id>/retry/", api.CheckRunRetry.as_view()),
    path("check-runs/<uuid:id>/measurements/", api.CheckRunMeasurements.as_view()),
    path("check-runs/<uuid:id>/attachments/<str:name>/", api.CheckRunAttachment.as_view()),
    path("monitors/", api.Monitors.as_view()),
    path("monitors/<uuid:id>/", api.MonitorDetail.as_view()),
    path("monitors/<uuid:id>/rollups/", api.MonitorRollup.as_view()),
    path("monitors/<uuid:id>/end/", api.MonitorEnd.as_view()),
    path("monitors/<uuid:id>/arm/", api.MonitorArm.as_view()),
    path("monitors/<uuid:id>/backfill/", api.MonitorBackfill.as_view()),
    path("monitors/<uuid:id>/windows/", api.MonitorWindows.as_view()),
    path("monitors/backtests/", api.Backtests.as_view()),
    path("monitors/backtests/<uuid:id>/", api.BacktestDetail.as_view()),
    path("monitors/backtests/<uuid:id>/cancel/", api.BacktestCancel.as_view()),
    path("observations/", api.Observations.as_view()),
    path("observations/<uuid:id>/", api.ObservationDetail.as_view()),
    path("breaches/", api.Breaches.as_view()),
    path("breaches/<uuid:id>/", api.BreachDetail.as_view()),
    path("breaches/<uuid:id>/resolve/", api.BreachResolve.as_view()),
]
