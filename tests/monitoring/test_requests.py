"""What can be known to be wrong with a check is said when it is asked for."""

import pickle

import pytest

from accounts.models import Role
from audit.writing import Refused
from kernel.errors import Conflict, Invalid, Unprocessable
from monitoring import services
from monitoring.engine import loaders
from monitoring.models import CheckRun
from registry import services as registry_services
from tests import factories
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db

SPEC = {"features": [{"column": "x"}], "threshold": 0.5}
SCORE_LESS = {key: helpers.COLUMNS[key] for key in ("label", "positive", "sensitive", "features")}


def stored_model(**fields):
    return {"stored": factories.store_bytes(b"\x08\x01"), "input_spec": SPEC, **fields}


def refused(**fields):
    with pytest.raises((Invalid, Unprocessable, Conflict)) as caught:
        helpers.request(**fields)
    assert not CheckRun.objects.exists()
    return caught.value


def test_a_request_is_queued_with_all_that_it_means():
    version, data = helpers.version(), helpers.dataset()
    run = helpers.request(version, data=data, config={"level": 0.9})
    assert (run.state, run.purpose, run.attempt) == ("queued", "validation", 0)
    assert run.mapping["label"] == "outcome"
    assert run.config == {"level": 0.9, "grade": "recomputed"}
    (entry,) = helpers.entries("monitoring.check.requested", run.pk)
    assert entry.public["config_digest"] == run.config_digest
    assert entry.public["dataset_digest"] == data.digest
    assert entry.scope == version.model_id


def test_the_same_question_has_the_same_digest_and_another_one_another():
    version = helpers.version()
    one, same, other = (
        helpers.request(version, config=config) for config in ({}, {}, {"level": 0.9})
    )
    assert one.config_digest == same.config_digest != other.config_digest


@pytest.mark.parametrize("kind", ["pickle", "other"])
def test_a_check_on_a_pickle_says_what_formats_are_taken(kind):
    version = helpers.version(**stored_model(artifact_name="m.bin", artifact_format=kind))
    error = refused(of=version, config={"grade": "re-performed"})
    assert (error.status, error.field, error.code) == (422, "config.grade", "format_not_taken")
    for name in loaders.FORMATS:
        assert name in error.detail
    assert helpers.request(version).config["grade"] == "recomputed", "that needs no model"


def test_a_pickle_that_is_called_onnx_is_known_by_its_bytes():
    version = helpers.version(stored=factories.store_bytes(pickle.dumps({"a": 1})), input_spec=SPEC)
    error = refused(of=version, config={"grade": "re-performed"})
    assert (error.field, error.code) == ("config.grade", "format_not_taken")
    assert "pickle" in error.detail
    assert "ONNX" in error.detail


@pytest.mark.parametrize("kind", ["explainability", "robustness"])
def test_explanations_and_robustness_need_a_model_that_is_opened(kind):
    version = helpers.version(**stored_model(artifact_name="m.bin", artifact_format="pickle"))
    assert refused(of=version, kind=kind).code == "format_not_taken"
    run = helpers.request(helpers.version(**stored_model()), kind=kind)
    assert (run.kind, run.config["grade"]) == (kind, "re-performed")


def test_without_predictions_a_pickle_can_only_be_told_the_formats():
    version = helpers.version(
        columns=SCORE_LESS, **stored_model(artifact_name="model.pkl", artifact_format="pickle")
    )
    assert refused(of=version).code == "format_not_taken"


def test_what_the_server_can_score_is_re_performed_unless_less_is_asked():
    version = helpers.version(**stored_model())
    assert helpers.request(version).config["grade"] == "re-performed"
    asked = helpers.request(version, config={"grade": "recomputed"})
    assert asked.config["grade"] == "recomputed"


def test_an_artifact_that_is_not_here_cannot_be_re_performed():
    error = refused(of=helpers.version(), config={"grade": "re-performed"})
    assert error.code == "artifact_not_here"
    version = helpers.version(**stored_model(input_spec=None))
    assert refused(of=version, config={"grade": "re-performed"}).code == "input_spec_missing"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "sentiment"}, "kind"),
        ({"kind": "drift"}, "reference"),
        ({"config": {"minimum": {"accuracy": 0}}}, "config.minimum.accuracy"),
        ({"config": {"level": "0.95"}}, "config.level"),
        ({"config": {"levels": 0.95}}, "config.levels"),
        ({"config": {"level": 1.5}}, "config.level"),
        ({"config": {"grade": "claimed"}}, "config.grade"),
        ({"config": {"groupings": ["hair"]}}, "config.groupings[0]"),
        ({"config": {"groupings": [["sex", "sex"]]}}, "config.groupings[0]"),
        ({"config": {"filters": [{"column": "x"}]}}, "config.filters[0]"),
        ({"config": {"intersections": 1}}, "config.intersections"),
        (
            {"kind": "robustness", "config": {"groupings": ["hair"]}},
            "config.groupings[0]",
        ),
    ],
)
def test_a_wrong_configuration_is_named(fields, field):
    assert refused(**fields).field == field


def test_no_mapping_no_check():
    version = factories.make_version()
    assert refused(of=version).field == "mapping"


def test_a_mapping_must_declare_what_the_check_looks_at():
    columns = {key: value for key, value in helpers.COLUMNS.items() if key != "sensitive"}
    assert (
        refused(of=helpers.version(columns=columns), kind="fairness").field == "mapping.sensitive"
    )


def test_data_must_be_here_and_readable():
    assert refused(data=factories.make_dataset()).field == "dataset"
    picture = factories.make_dataset(
        stored=factories.store_bytes(b"GIF89a"), media_type="image/gif"
    )
    assert refused(data=picture).field == "dataset"


def test_a_retired_version_is_not_measured():
    version = helpers.version()
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    registry_services.retire_version(version, reason="replaced", actor=owner)
    assert refused(of=version).status == 409


@pytest.mark.parametrize(
    "role", [Role.OPERATOR, Role.AUDITOR, Role.RISK_OFFICER, Role.ADMINISTRATOR]
)
def test_who_must_not_ask(role):
    with pytest.raises(Refused):
        helpers.request(actor=factories.actor_of(factories.make_user(None, role)))
    assert helpers.entries("audit.write.refused")
    assert not CheckRun.objects.exists()


def test_a_token_needs_the_scope():
    user = factories.make_user(None, Role.DEVELOPER)
    with pytest.raises(Refused):
        helpers.request(actor=factories.actor_of(user, "read"))
    assert services.request_check(
        helpers.version(),
        "performance",
        dataset=helpers.dataset(),
        actor=factories.actor_of(user, "check"),
    )
