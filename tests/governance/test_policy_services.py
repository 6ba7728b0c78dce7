"""Publishing policies and binding them: revisions, transitions, where they govern, what is on record."""

from datetime import timedelta

import pytest

from audit.writing import Refused
from governance import selectors
from governance.models import Policy, PolicyBinding, PolicyRevision
from governance.services import policies
from kernel.canonical import sha256_hex
from kernel.errors import Conflict, Invalid
from kernel.moments import now
from tests import factories as f
from tests.governance.facts import SHIPPED
from tests.governance.support import SMALL, World, entries, last

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def world() -> World:
    return World()


def test_each_publication_is_one_immutable_revision(world: World) -> None:
    first = PolicyRevision.objects.get()
    assert first.digest == sha256_hex(SMALL.encode())
    source = SMALL.replace("title: Small", "title: Smaller")
    second = policies.publish_policy(
        source, transition="next_review", actor=world.by(world.officer)
    )
    assert (second.number, second.source, second.transition) == (2, source, "next_review")
    assert second.published_by == world.officer
    first.refresh_from_db()
    assert first.source == SMALL
    assert Policy.objects.get().title == "Smaller"
    assert last("governance.policy.published") == {
        "policy": "small",
        "number": 2,
        "digest": second.digest,
        "transition": "next_review",
    }


def test_publishing_touches_no_version(world: World) -> None:
    before = world.version.revision
    world.govern(SMALL.replace("90", "30"))
    world.version.refresh_from_db()
    assert world.version.revision == before


def test_the_same_again_is_a_conflict(world: World) -> None:
    with pytest.raises(Conflict, match="revision 1"):
        policies.publish_policy(SMALL, actor=world.by(world.officer))


@pytest.mark.parametrize(
    ("transition", "days", "field"),
    [
        ("soon", None, "transition"),
        ("at_date", None, "transition_at"),
        ("at_date", -1, "transition_at"),
        ("at_once", 3, "transition_at"),
    ],
)
def test_a_transition_makes_sense(
    world: World, transition: str, days: int | None, field: str
) -> None:
    at = now() + timedelta(days=days) if days is not None else None
    with pytest.raises(Invalid) as caught:
        policies.publish_policy(
            SMALL.replace("90", "30"),
            transition=transition,
            transition_at=at,
            actor=world.by(world.officer),
        )
    assert caught.value.field == field
    assert PolicyRevision.objects.count() == 1


def test_a_wrong_policy_names_the_field_and_writes_nothing(world: World) -> None:
    with pytest.raises(Invalid) as caught:
        policies.publish_policy(
            SMALL.replace("severity: high", "severity: awful"), actor=world.by(world.officer)
        )
    assert list(caught.value.fields) == ["controls[1].severity"]
    assert PolicyRevision.objects.count() == 1


def test_binding_ends_what_governed_before(world: World) -> None:
    old = PolicyBinding.objects.get()
    other = policies.publish_policy(
        SMALL.replace("name: small", "name: other"), actor=world.by(world.officer)
    )
    new = policies.bind_policy(
        other.policy, environment=world.environment, actor=world.by(world.officer)
    )
    old.refresh_from_db()
    assert old.until == new.since
    at = new.since
    revision = selectors.policy_revision_of(world.version, world.use, world.environment, at)
    assert revision == other
    earlier = selectors.policy_revision_of(
        world.version, world.use, world.environment, at - timedelta(microseconds=1)
    )
    assert earlier is not None
    assert earlier.policy.name == "small"
    assert [entry.type.rsplit(".", 1)[1] for entry in entries("governance.policy.bound")] == [
        "bound",
        "bound",
    ]
    assert len(entries("governance.policy.unbound")) == 1


def test_a_binding_for_the_tier_goes_before_one_for_all(world: World) -> None:
    strict = policies.publish_policy(
        SMALL.replace("name: small", "name: strict"), actor=world.by(world.officer)
    )
    policies.bind_policy(
        strict.policy, environment=world.environment, tier=2, actor=world.by(world.officer)
    )
    place = (world.version, world.use, world.environment)
    world.version.refresh_from_db()
    found = selectors.policy_revision_of(*place, now())
    assert found is not None
    assert found.policy.name == "strict"
    world.retier(3)
    world.version.refresh_from_db()
    found = selectors.policy_revision_of(*place, world.version.moment)
    assert found is not None
    assert found.policy.name == "small"


def test_where_nothing_is_bound_any_more_nothing_governs(world: World) -> None:
    binding = PolicyBinding.objects.get()
    policies.unbind_policy(binding, actor=world.by(world.officer))
    assert selectors.policy_revision_of(world.version, world.use, world.environment, now()) is None
    with pytest.raises(Conflict):
        policies.unbind_policy(binding, actor=world.by(world.officer))


def test_a_policy_is_bound_where_it_applies_only(world: World) -> None:
    shipped = policies.publish_policy(SHIPPED.read_text(), actor=world.by(world.officer))
    for tier in (None, 3):
        with pytest.raises(Invalid) as caught:
            policies.bind_policy(
                shipped.policy,
                environment=world.environment,
                tier=tier,
                actor=world.by(world.officer),
            )
        assert caught.value.field == "tier"
    for tier in (1, 2):
        policies.bind_policy(
            shipped.policy, environment=world.environment, tier=tier, actor=world.by(world.officer)
        )
    with pytest.raises(Conflict, match="already"):
        policies.bind_policy(
            shipped.policy, environment=world.environment, tier=1, actor=world.by(world.officer)
        )


def test_a_next_revision_must_still_fit_where_it_governs(world: World) -> None:
    narrowed = SMALL.replace("title: Small", "title: Small\napplies_to: {tiers: [1]}")
    with pytest.raises(Conflict, match="applies to tier 1 only"):
        policies.publish_policy(narrowed, actor=world.by(world.officer))


def test_binding_is_for_risk_officers(world: World) -> None:
    policy = Policy.objects.get()
    for user in (world.developer, world.submitter, world.validator, f.make_user()):
        with pytest.raises(Refused):
            policies.bind_policy(policy, environment=f.make_environment(), actor=world.by(user))
        with pytest.raises(Refused):
            policies.unbind_policy(PolicyBinding.objects.get(), actor=world.by(user))
    assert PolicyBinding.objects.filter(until=None).count() == 1
