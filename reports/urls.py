"""The REST paths of this layer, under `/api/v1/`."""

from django.urls import path

from reports import api

api_urls = [
    path("reports/", api.Reports.as_view()),
    path("reports/<uuid:id>/", api.ReportDetail.as_view()),
    path("reports/<uuid:id>/pdf/", api.ReportPdf.as_view()),
    path("reports/<uuid:id>/bundle/", api.ReportBundle.as_view()),
]
