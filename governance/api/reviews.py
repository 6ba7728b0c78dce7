"""Dossiers, reviews with their validations and signatures, approvals, and what may be done with each."""

import json
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import QuerySet
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.access import visible
from accounts.models import User
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from governance import dossiers, selectors, situations
from governance.api import review_forms as forms
from governance.api.forms import ReasonRequest, read_instant
from governance.models import Approval, Dossier, Review
from governance.services import approvals, reviews, validations
from governance.transitions import offers
from kernel import canonical
from kernel.errors import Invalid
from kernel.identifiers import parse_digest
from monitoring.api.finding import environment_of, filtered, use_of
from registry.api.base import filters, find_version, paged, reader_of, validated

_REVIEWS = Review.objects.select_related(
    "version__model", "use", "environment", "policy_revision__policy", "submitted_by"
)
_APPROVALS = Approval.objects.select_related("version__model", "use", "environment")
_FILTERS = {
    "model": "version__model__name",
    "version": "version__number",
    "use": "use__name",
    "environment": "environment__name",
    "state": "state",
}


class DossierOfVersion(APIView):
    """The facts that a decision about a version rests on, for `?use=` (the default use without it).

    As they are now; with `?digest=`, as they were frozen.
    """

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        wanted = filters(request, "use", "digest")
        if "digest" in wanted:
            digest = parse_digest(wanted["digest"], "digest")
            return Response(forms.dossier(get_object_or_404(Dossier, version=version, pk=digest)))
        data = canonical.dumps(dossiers.document_of(version, use_of(version, wanted.get("use"))))
        digest = canonical.sha256_hex(data)
        frozen = Dossier.objects.filter(pk=digest).first()
        if frozen is not None:
            return Response(forms.dossier(frozen))
        return Response(
            {
                "digest": digest,
                "revision": version.revision,
                "frozen_at": None,
                "document": json.loads(data),
            }
        )


class ReviewsOfVersion(APIView):
    """The reviews of a version. POST submits it for a use in an environment."""

    actions: ClassVar = {"GET": "model.read", "POST": "version.submit"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str, number: int) -> Response:
        filters(request)
        rows = _REVIEWS.filter(version=find_version(request, name, number))
        return paged(self, request, rows, forms.review)

    @extend_schema(request=forms.ReviewRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        asked = validated(forms.ReviewRequest, request.data)
        review = reviews.submit(
            version,
            use=use_of(version, asked.get("use")),
            environment=environment_of(asked["environment"]),
            statement=asked["note"],
            actor=actor_of(request),
        )
        return Response(_told(review.pk), status=201)


class VersionActions(APIView):
    """What the caller may do with a version, and for what not, why.

    `?environment=` and `?use=` say what it would be submitted for.
    """

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        wanted = filters(request, "use", "environment")
        if "environment" not in wanted:
            raise Invalid("say which environment it would be submitted for", field="environment")
        situation = situations.of_version(
            version,
            actor_of(request),
            selectors.instant_for(version),
            use=use_of(version, wanted.get("use")),
            environment=environment_of(wanted["environment"]),
        )
        return Response(
            {
                "state": situation.state.value,
                "actions": [forms.offer(one) for one in offers("version", situation)],
            }
        )


class VersionReopening(APIView):
    actions: ClassVar = {"POST": "version.reopen"}

    @extend_schema(request=ReasonRequest, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, name: str, number: int) -> Response:
        version = find_version(request, name, number)
        asked = validated(ReasonRequest, request.data)
        version = reviews.reopen(version, reason=asked["reason"], actor=actor_of(request))
        return Response({"model": name, "version": number, "revision": version.revision})


class Queue(APIView):
    """All reviews that the caller may read: `?state=open` is the queue, newest first."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request) -> Response:
        rows = visible(_REVIEWS, actor_of(request), "version__model")
        return paged(self, request, filtered(request, rows, _FILTERS), forms.review)


class ReviewDetail(APIView):
    """A review with what is signed, the controls as judged at submission, and who signed."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(forms.review_in_full(_review(request, id)))


class ReviewControls(APIView):
    """The controls of a review as they would be judged at this instant, waivers applied."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        review = _review(request, id)
        results = situations.judged(review, selectors.instant_for(review.version))
        return Response({"controls": [result.to_json() for result in results]})


class ReviewActions(APIView):
    """What the caller may do with a review, and for what not, why."""

    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        review = _review(request, id)
        at = selectors.instant_for(review.version)
        situation = situations.of_review(review, actor_of(request), at)
        return Response(
            {
                "state": review.state,
                "signed_digest": review.signed_digest,
                "roles_wanted": list(situation.wanted_roles),
                "roles_held": list(situation.held_roles),
                "actions": [forms.offer(one) for one in offers("review", situation)],
            }
        )


class Validations(APIView):
    """Validations of the dossier of a review."""

    actions: ClassVar = {"GET": "model.read", "POST": "validation.write"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response({"results": forms.review_in_full(_review(request, id))["validations"]})

    @extend_schema(request=forms.ValidationRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        review = _review(request, id)
        asked = validated(forms.ValidationRequest, request.data)
        findings = [
            validations.FindingRecord(
                title=one["title"],
                detail=one["detail"],
                severity=one["severity"],
                owner=_owner(one["owner"], f"findings[{index}].owner"),
                due_at=read_instant(one["due_at"], f"findings[{index}].due_at"),
            )
            for index, one in enumerate(asked["findings"])
        ]
        row = validations.write_validation(
            review,
            scope=asked["scope"],
            rating=asked["rating"],
            conclusion=asked["conclusion"],
            limitations=asked["limitations"],
            findings=findings,
            actor=actor_of(request),
        )
        return Response(forms.validation(row), status=201)


class Signatures(APIView):
    """Signatures of a review. POST signs it, by a person who has just re-authenticated."""

    actions: ClassVar = {"GET": "model.read", "POST": "review.sign"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response({"results": forms.review_in_full(_review(request, id))["signatures"]})

    @extend_schema(request=forms.SignatureRequest, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        review = _review(request, id)
        asked = validated(forms.SignatureRequest, request.data)
        signature = approvals.sign(
            review,
            grant=asked["reauthentication"],
            decision=asked["decision"],
            meaning=asked["meaning"],
            reason=asked["reason"],
            role=asked.get("role"),
            actor=actor_of(request),
        )
        told = _told(review.pk)
        return Response(
            {
                **forms.signature(signature),
                "review_state": told["state"],
                "approval": told["approval"],
            },
            status=201,
        )


class ReviewWithdrawal(APIView):
    actions: ClassVar = {"POST": "review.withdraw"}

    @extend_schema(request=ReasonRequest, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        review = _review(request, id)
        asked = validated(ReasonRequest, request.data)
        reviews.withdraw_review(review, reason=asked["reason"], actor=actor_of(request))
        return Response(_told(id))


class ApprovalDetail(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        return Response(forms.approval(_one(request, _APPROVALS, id)))


class ApprovalActions(APIView):
    actions: ClassVar = {"GET": "model.read"}

    @extend_schema(responses=OpenApiTypes.OBJECT)
    def get(self, request: Request, id: UUID) -> Response:
        situation = situations.of_approval(_one(request, _APPROVALS, id), actor_of(request))
        return Response(
            {
                "state": situation.state.value,
                "actions": [forms.offer(one) for one in offers("approval", situation)],
            }
        )


class ApprovalRevocation(APIView):
    actions: ClassVar = {"POST": "approval.revoke"}

    @extend_schema(request=ReasonRequest, responses=OpenApiTypes.OBJECT)
    @idempotent
    def post(self, request: Request, id: UUID) -> Response:
        approval = _one(request, _APPROVALS, id)
        asked = validated(ReasonRequest, request.data)
        approvals.revoke_approval(approval, reason=asked["reason"], actor=actor_of(request))
        return Response(forms.approval(_APPROVALS.get(pk=id)))


def _one(request: Request, rows: QuerySet[Any], id: UUID) -> Any:
    return get_object_or_404(visible(rows, reader_of(request), "version__model"), pk=id)


def _review(request: Request, id: UUID) -> Review:
    found: Review = _one(request, _REVIEWS, id)
    return found


def _told(id: UUID) -> dict[str, Any]:
    return forms.review_in_full(_REVIEWS.get(pk=id))


def _owner(username: str, field: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Invalid(f"no account is named {username!r}", field=field)
    return user
