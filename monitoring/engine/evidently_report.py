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
from evidently.tests import lte

from monitoring.engine.results import BETWEEN, Attachment, MeasurementValue

REPORTED = (
    "psi",
    "psi_deciles",
    "jensen_shannon",
    "hellinger",
    "wasserstein_normed",
    "ks_statistic",
    "cramers_v",
    "missing_rate_difference",
    "unseen_category_rate",
)


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


class DriftedFigures(SingleValueMetric):  # type: ignore[misc]
    """How many figures of a column drifted, by the rule of the check; tested to be none."""

    column: str
    drifted: list[str]
    rule: str
    evidence_sha256: str


class DriftedFiguresCalculation(SingleValueCalculation[DriftedFigures]):  # type: ignore[misc]
    def calculate(self, context: Any, current_data: Any, reference_data: Any) -> Any:
        return self.result(len(self.metric.drifted))

    def display_name(self) -> str:
        return f"figures of {self.metric.column} that drifted"


def report(
    measurements: Sequence[MeasurementValue], evidence: str, *, html: bool
) -> list[Attachment]:
    """Run a Report over the drift figures, with a test a column that none of them drifted.

    JSON always, HTML (3.7 MB) if asked for.
    """
    snapshot = run(measurements, evidence)
    attachments = [Attachment("evidently.json", "application/json", snapshot.json().encode())]
    if html:
        page = snapshot.get_html_str(as_iframe=False)
        attachments.append(Attachment("evidently.html", "text/html", page.encode()))
    return attachments


def run(measurements: Sequence[MeasurementValue], evidence: str) -> Any:
    """Evidently's snapshot of the figures. The figures are known: its data are one empty column."""
    columns: dict[str, list[MeasurementValue]] = {}
    for one in measurements:
        if one.metric in REPORTED and one.value is not None and len(one.slice) == 1:
            (column,) = one.slice.values()
            if column != BETWEEN:
                columns.setdefault(column, []).append(one)
    metrics: list[Any] = []
    for column, found in columns.items():
        metrics += [
            DriftFigure(
                column=column, method=one.metric, figure=one.value, evidence_sha256=evidence
            )
            for one in found
        ]
        tested = [one for one in found if "drifted" in one.detail]
        if tested:
            metrics.append(
                DriftedFigures(
                    column=column,
                    drifted=[one.metric for one in tested if one.detail["drifted"]],
                    rule="an effect, beyond chance, and significant once corrected",
                    evidence_sha256=evidence,
                    tests=[lte(0)],
                )
            )
    empty = Dataset.from_pandas(
        pd.DataFrame({"figure": [0.0]}),
        data_definition=DataDefinition(numerical_columns=["figure"]),
    )
    return Report(metrics).run(empty, None)
