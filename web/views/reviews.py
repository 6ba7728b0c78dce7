"""Reviews: what waits, what is to be decided and on what, and the decision itself."""

import json
import re
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from accounts import services as accounts
from accounts.models import User
from accounts.web import actor_of
from governance import selectors
from governance.controls.results import ControlResult, blocking
from governance.facts import policy_document
from governance.models import Approval, Review, Signature, Validation
from governance.services.approvals import revoke_approval
from governance.services.approvals import sign as sign_review
from governance.services.reviews import withdraw_review
from governance.services.validations import FindingRecord, write_validation
from governance.situations import judged
from kernel.errors import CountersignError
from monitoring.models import CheckRun
from web import drafts, offers
from web.forms import FindingForm, Reason, Sign, WriteValidation, finding_forms
from web.pages import attempt, find, page, paged, seen, show
from web.views.versions import newest_results, validation_runs


@page()
def queue(request: HttpRequest) -> HttpResponse:
    """Open reviews, oldest first, those for this person apart; then what was decided."""
    rows = seen(
        Review.objects.select_related(
            "version__model", "use", "environment", "submitted_by", "policy_revision"
        ).defer("control_results", "signed_document"),
        request,
    )
    mine, others = offers.split_reviews(list(rows.filter(state="open")[:200]), actor_of(request))
    ended = rows.exclude(state="open").order_by("-closed_at")
    context = {"mine": mine, "others": others, "page": paged(request, ended)}
    return show(request, "reviews/queue.html", context)


def _find(request: HttpRequest, review_id: UUID) -> Review:
    rows = Review.objects.select_related(
        "version__model",
        "version__author",
        "use",
        "environment",
        "dossier",
        "policy_revision__policy",
        "submitted_by",
    )
    return find(rows, request, pk=review_id)


@page()
def review(request: HttpRequest, review_id: UUID) -> HttpResponse:
    return _show(request, _find(request, review_id))


def _show(request: HttpRequest, row: Review, *, status: int = 200, **forms: Any) -> HttpResponse:
    """The page, with the forms that were refused in place of fresh ones."""
    draft = drafts.take(request)
    stopping = _blocking_now(row)
    sentence, tone = _sentence(row, stopping)
    policy = policy_document(row.policy_revision)
    approval = Approval.objects.filter(review=row).select_related("version__model").first()
    context = {
        "review": row,
        "model": row.version.model,
        "version": row.version,
        "sentence": sentence,
        "tone": tone,
        "blocking": stopping,
        "met": _met_since(row, stopping),
        "outdated": _outdated(row),
        "approvals_wanted": policy.approvals.sentence(),
        "results": newest_results(_runs(row)),
        "validations": Validation.objects.filter(dossier=row.dossier_id, use=row.use_id),
        "signatures": Signature.objects.filter(review=row),
        "approval": approval,
        "revoke": offers.for_approval(approval, actor_of(request))["revoke"] if approval else None,
        "revoke_form": Reason(prefix="revoke", initial=drafts.part(draft, "revoke")),
        "signed_document": json.dumps(json.loads(bytes(row.signed_document)), indent=2),
        "offers": offers.for_review(row, actor_of(request)),
        "sign_form": Sign(initial=draft),
        "validation_form": WriteValidation(initial=drafts.part(draft, "validation")),
        "finding_forms": finding_forms(),
        "withdraw_form": Reason(prefix="withdraw", initial=drafts.part(draft, "withdraw")),
        **forms,
    }
    return show(request, "reviews/review.html", context, status=status)


def _blocks(result: dict[str, Any]) -> bool:
    return result["mode"] == "block" and result["status"] not in ("pass", "waived")


def _runs(row: Review) -> list[CheckRun]:
    """The runs that the dossier holds: those asked for before the submission."""
    return [run for run in validation_runs(row.version) if run.requested_at <= row.submitted_at]


def _blocking_now(row: Review) -> list[ControlResult]:
    """Of an open review, the blocking controls that do not hold now: some are met after submission."""
    if row.state != Review.State.OPEN:
        return []
    return blocking(judged(row, selectors.instant_for(row.version)))


def _met_since(row: Review, still: list[ControlResult]) -> str:
    """How many blocking controls did not hold at submission and have been met before the signatures."""
    if row.state not in (Review.State.OPEN, Review.State.APPROVED):
        return ""
    count = sum(_blocks(one) for one in row.control_results) - len(still)
    if count < 1:
        return ""
    met = "1 blocking control was" if count == 1 else f"{count} blocking controls were"
    return f"{met} met after submission."


def _sentence(row: Review, stopping: list[ControlResult]) -> tuple[str, str]:
    what = f"Version {row.version.number}"
    place = row.environment.title
    if row.state == Review.State.APPROVED:
        return f"{what} was approved for {place} by this review.", "good"
    if row.state == Review.State.REJECTED:
        return f"{what} was rejected for {place} by this review.", "bad"
    if row.state != Review.State.OPEN:
        return f"This review was {row.state}; nothing can be signed here any more.", "quiet"
    if not stopping:
        return f"Every blocking control passes. {what} waits for signatures.", "active"
    those, verb = (
        ("One blocking control", "does")
        if len(stopping) == 1
        else (f"{len(stopping)} blocking controls", "do")
    )
    return f"{those} {verb} not pass. {what} waits for a decision.", "caution"


def _outdated(row: Review) -> str:
    if row.state == Review.State.OPEN and row.revision != row.version.revision:
        return (
            f"The version has changed since: it was submitted at revision {row.revision} and is at "
            f"revision {row.version.revision} now."
        )
    return ""


@sensitive_post_parameters("password")
@page("POST")
def sign(request: HttpRequest, review_id: UUID) -> HttpResponse:
    """Prove who signs, then sign. A refusal gives the form back with all that was typed but the
    password, and says why."""
    row, form = _find(request, review_id), Sign(request.POST)
    if not form.is_valid():
        return _show(request, row, status=400, sign_form=form)
    actor, typed = actor_of(request), form.cleaned_data
    user = request.user
    assert isinstance(user, User)

    def write() -> None:
        grant = accounts.reauthenticate(
            user,
            password=typed["password"],
            subject_type="review",
            subject_id=row.pk,
            signed_digest=row.signed_digest,
            actor=actor,
            request=request,
        )
        sign_review(
            row,
            grant=grant.pk,
            decision=typed["decision"],
            meaning=typed["meaning"],
            reason=typed["reason"],
            actor=actor,
        )

    outcome = attempt(request, form, write, "Your signature is on record.", _home(row))
    # Else a locked account would be told so on a page of its own, and lose what was typed.
    request.axes_locked_out = False  # type: ignore[attr-defined]
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, review_id), status=outcome.status, sign_form=form)


@page("POST")
def validate(request: HttpRequest, review_id: UUID) -> HttpResponse:
    """Record an independent validator's findings on this review's dossier."""
    row, form = _find(request, review_id), WriteValidation(request.POST)
    findings = finding_forms(request.POST)
    forms = {"validation_form": form, "finding_forms": findings}
    if not all([form.is_valid(), *(one.is_valid() for one in findings)]):
        return _show(request, row, status=400, **forms)
    given = [one for one in findings if one.has_changed()]
    outcome = attempt(
        request,
        form,
        lambda: write_validation(
            row,
            **form.cleaned_data,
            findings=[FindingRecord(**one.record()) for one in given],
            actor=actor_of(request),
        ),
        "The validation is on record.",
        _home(row),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    _blame_findings(given, outcome)
    return _show(request, _find(request, review_id), status=outcome.status, **forms)


def _blame_findings(given: list[FindingForm], error: CountersignError) -> None:
    """Mark what the service names as `findings[0].title` in the form of that finding."""
    for path, detail in error.fields.items():
        found = re.fullmatch(r"findings\[(\d+)\]\.(\w+)", path)
        if found and int(found[1]) < len(given):
            given[int(found[1])].add_error(
                found[2] if found[2] in given[0].fields else None, detail
            )


@page("POST")
def withdraw(request: HttpRequest, review_id: UUID) -> HttpResponse:
    row, form = _find(request, review_id), Reason(request.POST, prefix="withdraw")
    if not form.is_valid():
        return _show(request, row, status=400, withdraw_form=form)
    outcome = attempt(
        request,
        form,
        lambda: withdraw_review(row, reason=form.cleaned_data["reason"], actor=actor_of(request)),
        "The review is withdrawn.",
        _home(row),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, review_id), status=outcome.status, withdraw_form=form)


@page("POST")
def revoke(request: HttpRequest, approval_id: UUID) -> HttpResponse:
    """Take an approval back. Its form stands on the page of the review that it came from."""
    approval = find(Approval.objects.select_related("version__model"), request, pk=approval_id)
    row, form = _find(request, approval.review_id), Reason(request.POST, prefix="revoke")
    if not form.is_valid():
        return _show(request, row, status=400, revoke_form=form)
    outcome = attempt(
        request,
        form,
        lambda: revoke_approval(
            approval, reason=form.cleaned_data["reason"], actor=actor_of(request)
        ),
        "The approval is revoked, for ever.",
        _home(row),
    )
    if isinstance(outcome, HttpResponse):
        return outcome
    return _show(request, _find(request, row.pk), status=outcome.status, revoke_form=form)


def _home(row: Review) -> str:
    return reverse("web:review", args=[row.pk])
