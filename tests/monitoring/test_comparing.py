"""Which version a check compares with, and which endpoint it asks, is settled when it is asked for."""

import json

import pytest

from governance.controls.facts import Missing
from governance.controls.measured import MetricAtLeast
from governance.controls.runs import Wanted, newest_with
from kernel.errors import Invalid, Unprocessable
from monitoring import executor, services
from monitoring.engine import endpoints
from monitoring.models import CheckRun, Measurement
from monitoring.services import comparing
from registry.models import Deployment
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db

SPEC = {"features": [{"column": "x"}], "threshold": 0.5}


def scorable(model=None, **fields):
    stored = factories.store_bytes(b"\x08\x01" + factories.unique("model").encode())
    known = {"stored": stored, "input_spec": SPEC, **fields}
    return factories.make_version(model, **known) if model else helpers.version(**known)


@pytest.fixture
def pair():
    """A version, and an earlier one of its model that is live in production."""
    live = scorable()
    place = factories.make_environment("production")
    factories.make_deployment(live, place)
    return scorable(live.model), live


def refused(version, config):
    with pytest.raises((Invalid, Unprocessable)) as caught:
        helpers.request(version, config=config)
    assert not CheckRun.objects.exists()
    return caught.value


def test_an_environments_name_means_the_version_that_is_live_there(pair):
    version, live = pair
    run = helpers.request(version, config={"compare_with": "production"})
    assert run.config["compare_with"] == live.number
    comparator = comparing.scoring_of(run)["comparator"]
    assert comparator.artifact.digest == live.artifact_digest
    assert comparator.name == f"version {live.number}"
    by_number = helpers.request(version, config={"compare_with": live.number})
    assert by_number.config_digest == run.config_digest


def test_what_cannot_be_compared_with_is_refused_at_once(pair):
    version, live = pair
    field = "config.compare_with"
    for config in ({"compare_with": "nowhere"}, {"compare_with": 99}):
        assert refused(version, config).field == field
    assert refused(live, {"compare_with": "production"}).field == field
    factories.make_deployment(
        scorable(live.model),
        factories.make_environment("staging"),
        kind=Deployment.Kind.SHADOW,
    )
    assert refused(version, {"compare_with": "staging"}).field == field
    unscorable = factories.make_version(live.model)
    assert "cannot be scored" in refused(version, {"compare_with": unscorable.number}).detail


def test_another_models_version_is_never_compared_with(pair):
    _, live = pair
    stranger = scorable()
    assert (
        "no version of the model is live"
        in refused(stranger, {"compare_with": "production"}).detail
    )
    with pytest.raises(Invalid):
        helpers.request(live, kind="fairness", config={"compare_with": 1})


@pytest.fixture
def named(tmp_path, monkeypatch):
    path = tmp_path / "endpoints.toml"
    path.write_text('[endpoints.credit]\nurl = "https://x.example"\nsecret = "0123456789abcdef"\n')
    monkeypatch.setenv(endpoints.VARIABLE, str(path))


def test_an_endpoint_is_picked_by_name_and_never_re_performs(named):
    version = helpers.version(artifact_format="pickle", artifact_name="m.pkl")
    run = helpers.request(version, config={"scoring_endpoint": "credit"})
    assert run.config["grade"] == "recomputed"
    scoring = comparing.scoring_of(run)
    assert scoring["scoring_endpoint"] == "credit"
    assert scoring["artifact_digest"] == version.artifact_digest
    again = {"scoring_endpoint": "credit", "grade": "re-performed"}
    CheckRun.objects.all().delete()
    assert refused(version, again).field == "config.grade"
    assert refused(version, {"scoring_endpoint": "other"}).field == "config.scoring_endpoint"


def test_an_endpoint_serves_where_no_prediction_was_supplied(named):
    columns = {key: helpers.COLUMNS[key] for key in ("label", "positive", "features")}
    version = helpers.version(columns=columns, artifact_format="pickle", artifact_name="m.pkl")
    assert refused(version, {}).field == "config.grade"
    run = helpers.request(version, config={"scoring_endpoint": "credit"})
    assert run.config["grade"] == "recomputed"


REGRESSION = {"label": "outcome", "prediction": "score", "task": "regression", "features": ["x"]}


def test_a_regression_is_recomputed_from_declared_columns():
    version = scorable(columns=REGRESSION)
    run = helpers.request(version)
    assert run.config["grade"] == "recomputed"
    done = executor.execute(run.pk, beat=None)
    assert done.state == "succeeded", done.error
    found = {one.metric: one for one in done.measurements.all()}
    assert found["mean_absolute_error"].value == pytest.approx(0.2 + 0.6 * 0.1, abs=1e-9)
    assert found["r2"].unit == "share"
    assert refused_kind(version, "fairness").field == "mapping.sensitive"
    assert (
        refused_kind(version, "performance", {"costs": {"false_positive": 1}}).field
        == "config.costs"
    )
    assert refused_kind(version, "performance", {"grade": "re-performed"}).field == "config.grade"


def test_versions_that_predict_numbers_are_compared_with_what_is_live():
    numbers = {**SPEC, "output": "number"}
    live = scorable(columns=REGRESSION, input_spec=numbers)
    factories.make_deployment(live, factories.make_environment("production"))
    version = scorable(live.model, input_spec=numbers)
    run = helpers.request(version, config={"compare_with": "production"})
    assert run.config["compare_with"] == live.number
    assert comparing.scoring_of(run)["comparator"].input_spec.gives_number
    other = scorable(live.model)
    with pytest.raises(Unprocessable) as caught:
        helpers.request(version, config={"compare_with": other.number})
    assert (caught.value.field, caught.value.code) == ("config.compare_with", "other_output")
    assert "gives a probability" in caught.value.detail


def refused_kind(version, kind, config=None):
    with pytest.raises((Invalid, Unprocessable)) as caught:
        helpers.request(version, kind=kind, config=config or {})
    return caught.value


def test_an_estimate_is_kept_as_claimed_and_no_control_takes_it():
    version = helpers.version()
    run = helpers.request(version, config={"estimate": True})
    done = executor.execute(run.pk, beat=None)
    grades = dict(Measurement.objects.filter(run=done).values_list("metric", "grade"))
    assert grades["estimated_accuracy"] == "claimed"
    assert grades["accuracy"] == "recomputed"
    facts = {
        "id": "1",
        "kind": "performance",
        "purpose": "validation",
        "state": "succeeded",
        "measurements": [{"metric": "estimated_accuracy"}],
    }
    with pytest.raises(Missing, match="estimate"):
        newest_with([facts], "estimated_accuracy", Wanted(), {})
    control = MetricAtLeast(metric="estimated_accuracy", limit=0.8)
    assert any("estimate" in told for _, told in control.problems())


def test_everything_asked_for_is_kept_drawn_and_served(pair):
    version = helpers.version()
    config = {"sweep": True, "curves_by_group": True, "estimate": True}
    config["costs"] = {"false_negative": 10, "unit": "EUR"}
    done = executor.execute(helpers.request(version, config=config).pk, beat=None)
    assert done.state == "succeeded", done.error
    assert {"threshold_sweep", "threshold_cost", "roc_by_sex"} <= {
        one["name"] for one in done.plots
    }
    cost = done.measurements.get(metric="expected_cost", slice={})
    assert cost.unit == "EUR"
    assert cost.lower < cost.value < cost.upper
    from reports.charts import svg

    for plot in done.plots:
        assert "<svg" in svg(plot)
    json.dumps(done.plots, allow_nan=False)


def test_failed_and_cancelled_attempts_stay_on_record():
    version = helpers.version()
    broken = helpers.request(version, data=helpers.dataset(b"not,a\nvalid"))
    assert executor.execute(broken.pk, beat=None).state == "failed"
    called_off = helpers.request(version)
    services.cancel_run(called_off, actor=helpers.developer())
    from monitoring.selectors import measurement_facts

    states = sorted(one["state"] for one in measurement_facts(version))
    assert states == ["cancelled", "failed"]
