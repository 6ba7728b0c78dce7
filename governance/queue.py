"""Whose signature a list of open reviews waits for, in a number of queries that the list does not raise.

It looks at people alone: `situations.of_review` also judges the controls, which a list need not.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from uuid import UUID

from accounts.access import roles_on
from accounts.models import Responsibility
from audit.actor import Actor
from governance.facts import policy_document
from governance.models import Review, Signature


def awaiting(reviews: Sequence[Review], actor: Actor) -> set[UUID]:
    """The reviews that wait for `actor`: a role that their policy still wants is held, nothing ties the
    actor to the version, and it has not signed.

    `reviews` come with `version__model` and `policy_revision`. A review about an earlier revision of
    its version waits for nobody.
    """
    open_ = [
        one
        for one in reviews
        if one.state == Review.State.OPEN and one.revision == one.version.revision
    ]
    signed, filled = _signatures(open_, actor)
    accounts = {actor.id, *_answers_for(actor)}
    roles = roles_on([actor.id], {one.version.model for one in open_})
    return {
        one.pk
        for one in open_
        if one.pk not in signed
        and not accounts & _makers(one)
        and (set(policy_document(one.policy_revision).approvals.roles) - filled[one.pk])
        & roles[actor.id, one.version.model_id]
    }


def _makers(review: Review) -> set[UUID]:
    version = review.version
    return {
        version.author_id,
        version.registered_by_id,
        version.last_edited_by_id,
        review.submitted_by_id,
    }


def _signatures(reviews: Sequence[Review], actor: Actor) -> tuple[set[UUID], dict[UUID, set[str]]]:
    models = {row.pk: row.version.model for row in reviews}
    given = list(Signature.objects.filter(review__in=models).select_related("user"))
    roles = roles_on({one.user_id for one in given}, set(models.values()))
    signed: set[UUID] = set()
    filled: dict[UUID, set[str]] = defaultdict(set)
    for one in given:
        if one.user_id == actor.id:
            signed.add(one.review_id)
        # As in `situations.filled_roles`: a yes counts while who gave it still may give it.
        still = one.user.is_active and one.role in roles[one.user_id, models[one.review_id].pk]
        if one.decision == Signature.Decision.APPROVE and still:
            filled[one.review_id].add(one.role)
    return signed, filled


def _answers_for(actor: Actor) -> Iterable[UUID]:
    """Service accounts that the actor answers or answered for: stricter than a single review asks,
    which looks at the time since its version was registered; the signing itself decides."""
    return Responsibility.objects.filter(person_id=actor.id).values_list("service_id", flat=True)
