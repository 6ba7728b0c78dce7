"""Drift is ranked by what the version's own explanations say its features weigh."""

import pytest

from kernel.errors import Unprocessable
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db

SPEC = {"features": [{"column": "x"}], "threshold": 0.5}


@pytest.fixture
def version():
    return helpers.version(stored=factories.store_bytes(b"\x08\x01"), input_spec=SPEC)


def explain(version, weight):
    run = helpers.request(version, kind="explainability")
    about = [("x", weight), ("*", 9.0), ("not a feature", 1.0)]
    measured = [
        helpers.measured("mean_abs_shap", value, slice={"feature": name}, unit="log odds")
        for name, value in about
    ]
    measured.append(
        helpers.measured("mean_abs_shap", 5.0, slice={"feature": "x", "sex": "F"}, unit="log odds")
    )
    return helpers.finish(run, helpers.outcome(*measured, kind="explainability"))


def drift(version, importance):
    return helpers.request(
        version, kind="drift", reference=helpers.dataset(), config={"importance": importance}
    )


def test_the_newest_explanation_is_written_into_the_question(version):
    explain(version, 0.5)
    explain(version, 0.25)
    run = drift(version, "explainability")
    assert run.config["importance"] == {"x": 0.25}
    assert drift(version, {"x": 0.25}).config_digest == run.config_digest


def test_without_an_explanation_it_is_said(version):
    other = helpers.version(stored=factories.store_bytes(b"\x08\x01"), input_spec=SPEC)
    explain(other, 0.5)
    helpers.request(version, kind="explainability")
    with pytest.raises(Unprocessable) as caught:
        drift(version, "explainability")
    assert caught.value.field == "config.importance"
