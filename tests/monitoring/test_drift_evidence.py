"""What a drift run leaves as evidence is in the store, and can be opened."""

import json

import pytest

from monitoring import executor
from registry.store import path_of
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db(transaction=True)


def kept(run, name):
    return path_of(run.attachments.get(name=name).blob_id).read_bytes()


def test_evidentlys_report_and_the_conformance_run_are_kept():
    data, reference = helpers.dataset(), helpers.dataset(helpers.rows(seed=2))
    run = helpers.request(
        kind="drift",
        data=data,
        reference=reference,
        config={"html": True, "conformance": True, "grade": "recomputed"},
    )
    run = executor.execute(run.pk, beat=None)
    assert run.state == "succeeded", run.error
    report = json.loads(kept(run, "evidently.json"))
    measured = run.measurements.get(metric="psi", slice={"feature": "x"})
    assert measured.value in [one["value"] for one in report["metrics"]]
    assert {one["status"] for one in report["tests"]} == {"SUCCESS"}
    assert kept(run, "evidently.html").lstrip().lower().startswith(b"<")
    assert json.loads(kept(run, "conformance.json"))["differing"] == 0
    assert [one for one in run.notes if one["code"] == "conformance"]
