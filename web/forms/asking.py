"""What is asked of the service: a check, a report, entries of the log."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet

from monitoring.models import CheckKind
from registry.models import Dataset, Environment, ModelVersion, Use
from web.forms.fields import ByTitle, PlainForm, day_field, line_field


class AskCheck(PlainForm):
    """A check of a version on one of the datasets that are on record."""

    prefix = "check"
    kind = forms.ChoiceField(label="Check", choices=CheckKind.choices)
    dataset = ByTitle(label="Data", queryset=Dataset.objects.none())
    reference = ByTitle(
        label="Reference",
        help_text="What the data is compared with; drift alone needs it.",
        queryset=Dataset.objects.none(),
        required=False,
    )

    def __init__(self, readable: QuerySet[Dataset], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = readable.exclude(blob=None, location=None).order_by("name")
        for name in ("dataset", "reference"):
            self.fields[name].queryset = held  # type: ignore[attr-defined]


class RequestReport(PlainForm):
    """Which version, for which use, in which environment. The choices come with their model."""

    subject = forms.ChoiceField(label="Version and use")
    environment = forms.ChoiceField(
        label="Environment", help_text="The report tells the standing there."
    )

    def __init__(
        self,
        versions: Sequence[ModelVersion],
        environments: Sequence[Environment],
        *args: Any,
        wanted: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._subjects = {
            f"{version.pk}.{use.pk}": (version, use)
            for version in versions
            for use in version.model.uses.all()
        }
        self._environments = {str(one.pk): one for one in reversed(environments)}
        subjects = [(key, _subject(*pair)) for key, pair in self._subjects.items()]
        places = [(key, one.title) for key, one in self._environments.items()]
        self.fields["subject"].choices = subjects  # type: ignore[attr-defined]
        self.fields["environment"].choices = places  # type: ignore[attr-defined]
        first = (key for key in self._subjects if wanted and key.startswith(f"{wanted}."))
        self.fields["subject"].initial = next(first, None)

    def chosen(self) -> tuple[ModelVersion, Use, Environment]:
        version, use = self._subjects[self.cleaned_data["subject"]]
        return version, use, self._environments[self.cleaned_data["environment"]]


def _subject(version: ModelVersion, use: Use) -> str:
    about = "" if use.is_default else f", use {use.name}"
    return f"{version.model.title}, version {version.number}{about}"


class AuditSearch(PlainForm):
    """Filters of the audit log; all optional, all by index."""

    type = line_field("Type", required=False, longest=100)
    object = line_field("Object id", required=False)
    since = day_field("From", required=False)
    until = day_field("To", required=False)
