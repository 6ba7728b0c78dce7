"""Serializers that refuse what they do not know."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import serializers

from kernel.canonical import is_number
from kernel.errors import Invalid
from kernel.identifiers import parse_digest


class StrictSerializer(serializers.Serializer[Any]):
    """Input only: an unknown name is an error that names it, so that a typing error loses nothing."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields))
            if unknown:
                known = ", ".join(sorted(self.fields))
                raise serializers.ValidationError(
                    dict.fromkeys(unknown, f"unknown name; known are: {known}")
                )
        return super().to_internal_value(data)


class Nothing(StrictSerializer):
    """A body that says nothing more than the path: empty, or `{}`."""


class StrictCharField(serializers.CharField):
    """A string, and nothing that merely can be turned into one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictFloatField(serializers.FloatField):
    """A finite JSON number, and no string that looks like one."""

    def to_internal_value(self, data: Any) -> float:
        if not is_number(data):
            self.fail("invalid")
        return float(data)


class StrictIntegerField(serializers.IntegerField):
    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class StrictBooleanField(serializers.BooleanField):
    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid", input=data)
        return data


class StrictUUIDField(serializers.UUIDField):
    """A UUID as text; a number, which also makes one, is a mistake."""

    def to_internal_value(self, data: Any) -> UUID:
        if not isinstance(data, str):
            self.fail("invalid", value=data)
        return UUID(str(super().to_internal_value(data)))


class DigestField(serializers.CharField):
    """A SHA-256 with or without `sha256:`; 64 lowercase hex digits inside."""

    def to_internal_value(self, data: Any) -> str:
        try:
            return parse_digest(data, self.field_name or "digest")
        except Invalid as error:
            raise serializers.ValidationError(error.detail) from None
