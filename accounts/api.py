"""REST: who am I, my tokens, re-authentication; users, service accounts and roles for administrators."""

from collections.abc import Iterable
from typing import Any, ClassVar

from django.conf import settings
from django.shortcuts import get_object_or_404
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts import services
from accounts.access import Scope, organisation_roles, roles_of
from accounts.models import ApiToken, Reauthentication, Role, User
from accounts.rest.authentication import actor_of
from accounts.rest.idempotency import idempotent
from audit.erasure import BASES
from kernel.errors import Invalid
from kernel.moments import parse_rfc3339, rfc3339
from kernel.rest.pagination import NewestFirst
from kernel.rest.serializers import (
    DigestField,
    Nothing,
    StrictCharField,
    StrictSerializer,
    StrictUUIDField,
)


def describe_user(user: User, roles: Iterable[Role] | None = None) -> dict[str, Any]:
    """`roles` are those for the organisation, if they were read already."""
    return {
        "id": str(user.pk),
        "username": user.username,
        "name": user.name,
        "kind": user.kind,
        "is_active": user.is_active,
        "roles": sorted(role.value for role in (roles_of(user.pk) if roles is None else roles)),
    }


def describe_token(token: ApiToken) -> dict[str, Any]:
    return {
        "id": str(token.pk),
        "name": token.name,
        "key": token.key,
        "user": token.user.username,
        "scopes": token.scopes,
        "created_at": rfc3339(token.created_at),
        "expires_at": rfc3339(token.expires_at),
        "last_used_at": rfc3339(token.last_used_at) if token.last_used_at else None,
        "revoked_at": rfc3339(token.revoked_at) if token.revoked_at else None,
    }


class Me(APIView):
    """The account behind the request."""

    actions: ClassVar = {"GET": "model.read"}

    def get(self, request: Request) -> Response:
        assert isinstance(request.user, User)
        scopes = actor_of(request).scopes
        return Response(
            describe_user(request.user) | {"scopes": sorted(scopes) if scopes is not None else None}
        )


class ReauthenticationInput(StrictSerializer):
    subject_type = serializers.ChoiceField(choices=["review", "not_collected"], default="review")
    review = StrictUUIDField(required=False)
    model = StrictUUIDField(required=False, help_text="of a statement about one: its id")
    signed_digest = DigestField()
    password = StrictCharField(trim_whitespace=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        name = "review" if attrs["subject_type"] == "review" else "model"
        other = "model" if name == "review" else "review"
        if attrs.get(name) is None:
            raise serializers.ValidationError({name: "is required"})
        if attrs.get(other) is not None:
            raise serializers.ValidationError({other: "does not belong to this subject"})
        return attrs


class Reauthentications(APIView):
    """Prove identity again, for one signature."""

    actions: ClassVar = {"POST": "review.sign"}

    @extend_schema(request=ReauthenticationInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        data = ReauthenticationInput(data=request.data)
        data.is_valid(raise_exception=True)
        assert isinstance(request.user, User)
        grant = services.reauthenticate(
            request.user,
            password=data.validated_data["password"],
            subject_type=data.validated_data["subject_type"],
            subject_id=data.validated_data.get("review") or data.validated_data["model"],
            signed_digest=data.validated_data["signed_digest"],
            actor=actor_of(request),
            request=request._request,
        )
        return Response(_describe_grant(grant), status=201)


def _describe_grant(grant: Reauthentication) -> dict[str, Any]:
    return {
        "id": str(grant.pk),
        "review": str(grant.subject_id),
        "signed_digest": grant.signed_digest,
        "method": grant.method,
        "expires_at": rfc3339(grant.expires_at),
    }


class TokenInput(StrictSerializer):
    name = StrictCharField(max_length=100)
    scopes = serializers.ListField(child=serializers.ChoiceField(choices=list(Scope)), min_length=1)
    expires_at = StrictCharField()
    user = StrictCharField(required=False, help_text="a service account's username; else yourself")


class Tokens(APIView):
    """One's own tokens; an administrator makes those of service accounts."""

    actions: ClassVar = {"GET": "self.manage", "POST": "self.manage"}

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        rows = ApiToken.objects.filter(user=request.user).select_related("user")  # type: ignore[misc]
        page = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response([describe_token(token) for token in page or []])

    @extend_schema(request=TokenInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request) -> Response:
        # A body that is answered again would show the token again: no idempotency here.
        data = TokenInput(data=request.data)
        data.is_valid(raise_exception=True)
        fields = data.validated_data
        assert isinstance(request.user, User)
        owner = request.user
        if "user" in fields:
            owner = _user(fields["user"], "user")
        token, text = services.issue_token(
            owner,
            name=fields["name"],
            scopes=fields["scopes"],
            expires_at=parse_rfc3339(
                fields["expires_at"], "expires_at", time_zone=settings.COUNTERSIGN.time_zone
            ),
            actor=actor_of(request),
        )
        return Response(describe_token(token) | {"token": text}, status=201)


class TokenRevocation(APIView):
    actions: ClassVar = {"POST": "self.manage"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, token_id: str) -> Response:
        Nothing(data=request.data).is_valid(raise_exception=True)
        token = get_object_or_404(ApiToken.objects.select_related("user"), pk=token_id)
        services.revoke_token(token, actor=actor_of(request))
        token.refresh_from_db()
        return Response(describe_token(token))


class UserInput(StrictSerializer):
    username = StrictCharField(max_length=150)
    name = StrictCharField(max_length=200)
    kind = serializers.ChoiceField(choices=User.Kind.choices, default=User.Kind.PERSON)
    email = StrictCharField(required=False, default="", allow_blank=True)
    password = StrictCharField(required=False, trim_whitespace=False)
    responsible = serializers.ListField(child=StrictCharField(), required=False)


class Users(APIView):
    """People and service accounts."""

    actions: ClassVar = {"GET": "user.manage", "POST": "user.manage"}

    def get(self, request: Request) -> Response:
        pages = NewestFirst()
        page = pages.paginate_queryset(User.objects.all(), request, view=self) or []
        roles = organisation_roles([user.pk for user in page])
        return pages.get_paginated_response([describe_user(user, roles[user.pk]) for user in page])

    @extend_schema(request=UserInput, responses={201: OpenApiTypes.OBJECT})
    @idempotent
    def post(self, request: Request) -> Response:
        data = UserInput(data=request.data)
        data.is_valid(raise_exception=True)
        fields = data.validated_data
        if fields["kind"] == User.Kind.SERVICE:
            user = services.create_service_account(
                fields["username"],
                name=fields["name"],
                responsible=[_user(name, "responsible") for name in fields.get("responsible", [])],
                actor=actor_of(request),
            )
        else:
            if "password" not in fields:
                raise Invalid("a person needs a first password", field="password")
            user = services.create_person(
                fields["username"],
                name=fields["name"],
                email=fields["email"],
                password=fields["password"],
                actor=actor_of(request),
            )
        return Response(describe_user(user), status=201)


class RoleInput(StrictSerializer):
    role = serializers.ChoiceField(choices=Role.choices)


class UserRoles(APIView):
    """Roles for the organisation: POST grants one, DELETE ends it."""

    actions: ClassVar = {"POST": "grant.manage", "DELETE": "grant.manage"}

    @extend_schema(request=RoleInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, username: str) -> Response:
        user = get_object_or_404(User, username=username)
        services.grant_organisation_role(user, _role(request), actor=actor_of(request))
        return Response(describe_user(user), status=201)

    def delete(self, request: Request, username: str) -> Response:
        user = get_object_or_404(User, username=username)
        services.end_organisation_role(user, _role(request), actor=actor_of(request))
        return Response(describe_user(user))


class UserDeactivation(APIView):
    actions: ClassVar = {"POST": "user.manage"}

    @extend_schema(request=Nothing, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, username: str) -> Response:
        Nothing(data=request.data).is_valid(raise_exception=True)
        user = get_object_or_404(User, username=username)
        services.deactivate_user(user, actor=actor_of(request))
        user.refresh_from_db()
        return Response(describe_user(user))


class PasswordInput(StrictSerializer):
    password = StrictCharField(trim_whitespace=False)


class UserPassword(APIView):
    """A new password for somebody who lost theirs."""

    actions: ClassVar = {"POST": "user.manage"}

    @extend_schema(request=PasswordInput, responses=OpenApiTypes.OBJECT)
    def post(self, request: Request, username: str) -> Response:
        data = PasswordInput(data=request.data)
        data.is_valid(raise_exception=True)
        user = get_object_or_404(User, username=username)
        services.reset_password(
            user, password=data.validated_data["password"], actor=actor_of(request)
        )
        return Response(describe_user(user))


class ErasePersonInput(StrictSerializer):
    basis = serializers.ChoiceField(choices=list(BASES), help_text="the legal ground")
    reason = StrictCharField(max_length=2000)


class UserErasure(APIView):
    """Erase a person: the name, and what ties the log's pseudonym to it. There is no way back."""

    actions: ClassVar = {"POST": "payload.erase"}

    @extend_schema(request=ErasePersonInput, responses={201: OpenApiTypes.OBJECT})
    def post(self, request: Request, username: str) -> Response:
        data = ErasePersonInput(data=request.data)
        data.is_valid(raise_exception=True)
        user = get_object_or_404(User, username=username)
        entry = services.erase_person(user, **data.validated_data, actor=actor_of(request))
        return Response({"entry": str(entry.uuid), **entry.public}, status=201)


def _role(request: Request) -> str:
    data = RoleInput(data=request.data)
    data.is_valid(raise_exception=True)
    return str(data.validated_data["role"])


def _user(username: str, field: str) -> User:
    user = User.objects.filter(username=username).first()
    if user is None:
        raise Invalid(f"no account is named {username!r}", field=field)
    return user
