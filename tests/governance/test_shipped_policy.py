"""The shipped policy on real rows: version 1 fails by sex and is refused, version 2 is approved."""

import json
from typing import Any

import pytest

from accounts.models import Role
from audit.writing import RefusedConflict
from governance import dossiers, selectors
from governance.models import Approval, Review
from governance.services import policies
from monitoring.models import Monitor
from registry import services as registry
from registry.models import Dataset, ModelVersion
from tests import factories as f
from tests.governance.facts import SHIPPED
from tests.governance.support import World
from tests.monitoring import helpers

pytestmark = pytest.mark.django_db(transaction=True)

COLUMNS = helpers.COLUMNS | {"sensitive": ["sex", "race"]}


def _data(seed: int) -> bytes:
    lines = helpers.rows(seed=seed).decode().splitlines()
    races = ["White", "Black", "Other"]
    body = [f"{line},{races[index % 3]}" for index, line in enumerate(lines[1:])]
    return "\n".join([f"{lines[0]},race", *body, ""]).encode()


class Screening(World):
    """A model under the shipped policy, with versions that the server scored itself."""

    def __post_init__(self) -> None:
        super().__post_init__()
        model = f.make_model(
            by=self.developer,
            use=f.use_record(excluded_uses=["credit"], success_criteria=["accuracy of 0.8"]),
            columns=COLUMNS,
        )
        self.use = f.default_use(model)
        shipped = policies.publish_policy(SHIPPED.read_text(), actor=self.by(self.officer))
        policies.bind_policy(
            shipped.policy, environment=self.environment, tier=2, actor=self.by(self.officer)
        )
        self.training = self.dataset(1)
        self.test = self.dataset(2)

    def dataset(self, seed: int) -> Dataset:
        return helpers.dataset(_data(seed), source="US Census Bureau")

    def register(self, difference: tuple[float, float, float]) -> ModelVersion:
        """A version whose checks found this difference by sex: value, lower, upper."""
        self.version = f.make_version(
            self.use.model,
            by=self.developer,
            stored=f.store_bytes(f.unique("model").encode()),
            input_spec={"features": [{"column": "x", "kind": "numeric"}]},
            claims=[{"metric": "accuracy", "value": 0.93}],
            datasets=[
                registry.DatasetLink(self.training, "training"),
                registry.DatasetLink(self.test, "test"),
                registry.DatasetLink(self.training, "reference"),
            ],
        )
        value, lower, upper = difference
        wide: dict[str, Any] = {"level": 0.95, "n": 5000}
        accuracy = helpers.measured("accuracy", 0.936, lower=0.93, upper=0.94, **wide)
        self.check("performance", accuracy)
        self.check(
            "fairness",
            helpers.measured(
                "equal_opportunity_difference",
                value,
                lower=lower,
                upper=upper,
                **wide | {"slice": {"sex": "*"}},
            ),
            helpers.measured(
                "equal_opportunity_difference",
                0.04,
                lower=0.01,
                upper=0.09,
                **wide | {"slice": {"race": "*"}},
            ),
            helpers.measured("equal_opportunity_difference", None, slice={"race": "Other"}, n=4),
        )
        return self.version

    def check(self, kind: str, *measurements: Any) -> None:
        self.version.refresh_from_db()
        run = helpers.request(
            self.version, data=self.test, kind=kind, actor=self.by(self.developer)
        )
        helpers.finish(run, helpers.outcome(*measurements, kind=kind, grade="re-performed"))


@pytest.fixture
def screening() -> Screening:
    return Screening()


def _statuses(review: Review) -> dict[str, str]:
    return {one["control"]: one["status"] for one in review.control_results}


def test_version_1_is_refused_with_the_control_and_the_figures(screening: Screening) -> None:
    screening.register((0.153, 0.112, 0.194))
    review = screening.submit()
    statuses = _statuses(review)
    assert statuses["equal-opportunity-by-sex"] == "fail"
    assert statuses["equal-opportunity-by-race"] == "insufficient"
    screening.validate(review)
    with pytest.raises(RefusedConflict, match="equal-opportunity-by-sex") as caught:
        screening.sign(review, screening.officer)
    assert caught.value.code == "controls_not_passed"
    assert "race" not in caught.value.detail
    (result,) = [
        one for one in review.control_results if one["control"] == "equal-opportunity-by-sex"
    ]
    assert "0.153 (95% interval 0.112 to 0.194)" in result["reason"]
    assert result["figures"][0]["at_most"] == 0.10


def test_version_2_is_approved_and_watched(screening: Screening) -> None:
    screening.register((0.021, -0.017, 0.059))
    review = screening.submit()
    failing = {name for name, status in _statuses(review).items() if status != "pass"}
    assert failing == {"validated", "equal-opportunity-by-race", "drift-measured"}
    screening.validate(review)
    screening.sign(review, screening.validator)
    screening.sign(review, screening.officer)
    approval = Approval.objects.get()
    found = selectors.standing_of(screening.version, screening.use, screening.environment)
    assert found.standing == "approved"
    assert found.approval is not None
    assert found.approval.id == str(approval.pk)
    watching = Monitor.objects.filter(version=screening.version, until=None)
    assert {monitor.name for monitor in watching} == {
        "fairness-in-production",
        "inputs-in-production",
        "performance-in-production",
    }


def test_a_dossier_can_be_rebuilt_from_the_record(screening: Screening) -> None:
    screening.register((0.021, -0.017, 0.059))
    screening.version.refresh_from_db()
    before = dossiers.document_of(screening.version, screening.use)
    review = screening.submit()
    screening.version.refresh_from_db()
    f.make_evidence(screening.version)
    screening.check("fairness", helpers.measured("selection_rate", 0.4))
    frozen = json.loads(bytes(review.dossier.document))
    assert frozen == before
    screening.version.refresh_from_db()
    assert dossiers.document_of(screening.version, screening.use) == before
    facts = dossiers.facts(
        screening.version, screening.use, screening.environment, review.dossier_id
    )
    assert len(facts["live"]["runs"]) == 1
    assert len(facts["live"]["evidence"]) == 1
    assert len(facts["runs"]) == 2


def test_adding_a_use_changes_no_dossier(screening: Screening) -> None:
    screening.register((0.021, -0.017, 0.059))
    screening.version.refresh_from_db()
    before = dossiers.document_of(screening.version, screening.use)
    registry.add_use(
        screening.use.model,
        f.use_record(name="other"),
        actor=f.actor_of(f.make_user(None, Role.OWNER)),
    )
    screening.version.refresh_from_db()
    assert dossiers.document_of(screening.version, screening.use) == before
