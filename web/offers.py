"""What a page offers this person, and for what not, why: the answers that the API gives, too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from accounts.access import Answer, can
from audit.actor import Actor
from governance import queue, selectors, situations, transitions
from governance.models import Approval, Review
from monitoring.models import CheckRun
from registry.models import ModelVersion
from web.standings import Place


@dataclass(frozen=True)
class Offer:
    """Whether something can be done now, and in a sentence why not."""

    allowed: bool
    reason: str = ""


Offers = dict[str, Offer]


def _offers(subject: str, situation: transitions.Situation) -> Offers:
    return {
        one.action.value: Offer(one.allowed, one.refusal.reason if one.refusal else "")
        for one in transitions.offers(subject, situation)
    }


def for_version(version: ModelVersion, places: Sequence[Place], actor: Actor) -> Offers:
    """What can be done to a version; submitting, if it can be for any use in any environment."""
    at = selectors.instant_for(version)
    found = _offers("version", situations.of_version(version, actor, at))
    for place in places:
        situation = situations.of_version(
            version, actor, at, use=place.use, environment=place.environment
        )
        found["submit"] = _offers("version", situation)["submit"]
        if found["submit"].allowed:
            break
    found["waiver"] = _answer(can(actor, "waiver.request", version))
    found["report"] = _answer(can(actor, "report.request", version))
    return found


def for_review(review: Review, actor: Actor) -> Offers:
    """`sign` is a yes, `reject` a no; a blocked yes does not stand in the way of a no."""
    situation = situations.of_review(review, actor, selectors.instant_for(review.version))
    return _offers("review", situation)


def for_approval(approval: Approval, actor: Actor) -> Offers:
    return _offers("approval", situations.of_approval(approval, actor))


def for_run(run: CheckRun, actor: Actor) -> Offers:
    found = {}
    for name, action in (("cancel", "check.cancel"), ("retry", "check.request")):
        may = can(actor, action, run)
        if may and run.monitor_id is not None:
            may = can(actor, "monitor.manage", run)
        found[name] = _answer(may)
    if run.purpose == CheckRun.Purpose.BACKTEST:
        found["retry"] = Offer(False, "a backtest is asked for as a whole")
    elif run.purpose == CheckRun.Purpose.ROLLUP:
        found["retry"] = Offer(False, "a roll-up is asked for by its period")
    elif found["retry"].allowed and run.version.retired_at is not None:
        found["retry"] = Offer(False, "the version is retired")
    return found


def refusals(offers: Offers, names: Mapping[str, str]) -> list[tuple[str, str]]:
    """Those of `names` (action to label) that cannot be done, each with why."""
    return [
        (label, offers[name].reason) for name, label in names.items() if not offers[name].allowed
    ]


def _answer(answer: Answer) -> Offer:
    return Offer(answer.allowed, answer.reason)


def split_reviews(reviews: Sequence[Review], actor: Actor) -> tuple[list[Review], list[Review]]:
    """Those that wait for `actor`, and those that wait for others, each in the given order."""
    waiting = queue.awaiting(reviews, actor)
    mine = [review for review in reviews if review.pk in waiting]
    return mine, [review for review in reviews if review.pk not in waiting]
