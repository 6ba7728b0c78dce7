"""Evidently's report over figures that were computed elsewhere: its JSON and HTML as evidence.

The metric class must be importable by name when a snapshot is read back, so it lives here, in a
module that only the worker's drift check imports.
"""

import os
from collections.abc import Sequence
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "1")

import pandas as pd
from evidently import DataDefinition, Dataset, Report
from evidently.core.metric_types import SingleValueCalculation, SingleValueMetric

from monitoring.engine.results import Attachment, MeasurementValue

REPORTED = ("psi", "jensen_shannon", "wasserstein_normed", "ks_statistic", "cramers_v")


class DriftFigure(SingleValueMetric):  # type: ignore[misc]  # the library is untyped
    """One figure of one column, with the digest of the aggregates that it was computed from."""

    column: str
    method: str
    figure: float
    evidence_sha256: str


class DriftFigureCalculation(SingleValueCalculation[DriftFigure]):  # type: ignore[misc]
    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
        return self.result(self.metric.figure)

    def display_name(self) -> str:
        return f"{self.metric.method} of {self.metric.column}"


def report(
    measurements: Sequence[MeasurementValue], evidence: str, *, html: bool
) -> list[Attachment]:
    """Run a Report over the drift figures. JSON always, HTML (3.7 MB) if asked for."""
    metrics = [
        DriftFigure(
            column=next(iter(one.slice.values())),
            method=one.metric,
            figure=one.value,
            evidence_sha256=evidence,
        )
        for one in measurements
        if one.metric in REPORTED and one.value is not None and "*" not in one.slice.values()
    ]
    # The figures are known: the data that Evidently is given are one empty column.
    empty = Dataset.from_pandas(
        pd.DataFrame({"figure": [0.0]}),
        data_definition=DataDefinition(numerical_columns=["figure"]),
    )
    snapshot = Report(metrics).run(empty, None)
    attachments = [Attachment("evidently.json", "application/json", snapshot.json().encode())]
    if html:
        page = snapshot.get_html_str(as_iframe=False)
        attachments.append(Attachment("evidently.html", "text/html", page.encode()))
    return attachments
