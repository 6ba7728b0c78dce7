"""Decisions and what they rest on: signatures, validations, waivers, findings, incidents, breaches."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from django import forms

from accounts.models import User
from governance.models import Finding, Signature, Validation
from registry.models import Environment, ModelVersion, Use
from web.forms.fields import ByTitle, PlainForm, day_field, line_field, password_field, text_field


class Sign(PlainForm):
    """A signature: decision, meaning, reason, and the password as proof of identity."""

    decision = forms.ChoiceField(
        label="Your decision", choices=Signature.Decision.choices, widget=forms.RadioSelect
    )
    meaning = forms.ChoiceField(
        label="What your signature means",
        choices=Signature.Meaning.choices,
        widget=forms.RadioSelect,
    )
    reason = text_field("Reason", "Printed with your name in every report of this version.", rows=2)
    password = password_field(
        "Your password", "Proves that it is you who signs now. It counts for this signature alone."
    )


class WriteValidation(PlainForm):
    """An independent validator's findings on one dossier."""

    prefix = "validation"
    scope = text_field("Scope", "What was looked at, and what was not.", rows=3)
    rating = forms.ChoiceField(
        label="Rating", choices=Validation.Rating.choices, widget=forms.RadioSelect
    )
    conclusion = text_field("Conclusion")
    limitations = text_field("Limitations", rows=3, required=False)


class FindingForm(PlainForm):
    """Something that must be done about the version. Empty, it is no finding."""

    title = line_field("Finding")
    detail = text_field("What is wrong, and what is to be done", rows=3)
    severity = forms.ChoiceField(label="Severity", choices=Finding.Severity.choices)
    owner = forms.ModelChoiceField(label="Owner", queryset=User.objects.none())
    due_at = day_field("Due at the end of")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, empty_permitted=True, **kwargs)
        people = User.objects.filter(kind=User.Kind.PERSON, is_active=True).order_by("name")
        self.fields["owner"].queryset = people  # type: ignore[attr-defined]
        self.fields["severity"].initial = Finding.Severity.MEDIUM

    def has_changed(self) -> bool:
        """True if somebody wrote something; a severity stands there from the start."""
        return bool({"title", "detail", "owner", "due_at"} & set(self.changed_data))

    def record(self) -> dict[str, Any]:
        """What was typed, as the service takes it: a date means its end."""
        due = datetime.combine(self.cleaned_data["due_at"], time.max, UTC)
        return {**self.cleaned_data, "due_at": due}


FINDINGS = 3


def finding_forms(data: Any = None) -> list[FindingForm]:
    """The forms of up to three findings of one validation."""
    return [FindingForm(data, prefix=f"finding-{index}") for index in range(FINDINGS)]


class Reason(PlainForm):
    reason = text_field("Reason", rows=3)


class Submit(PlainForm):
    prefix = "submit"
    use = ByTitle(label="Use", queryset=Use.objects.none())
    environment = ByTitle(label="Environment", queryset=Environment.objects.none())
    note = text_field("Note", "What reviewers should know.", rows=3, required=False)

    def __init__(self, version: ModelVersion, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        uses = Use.objects.filter(model=version.model_id, retired_at=None).order_by("-is_default")
        self.fields["use"].queryset = uses  # type: ignore[attr-defined]
        self.fields["use"].initial = uses.first()
        places = Environment.objects.filter(settings__until=None).order_by("-settings__position")
        self.fields["environment"].queryset = places  # type: ignore[attr-defined]
        self.fields["environment"].initial = places.first()


class Resolve(PlainForm):
    resolution = text_field(
        "Resolution",
        "What was found and done. Once resolved, this breach no longer closes the gate.",
    )


class Classify(PlainForm):
    """An incident's class and the instant at which the organisation became aware of it."""

    incident_class = line_field(
        "Class", "As your procedure names it, for example serious-incident.", longest=40
    )
    aware_at = forms.DateTimeField(
        label="Aware since (UTC)",
        help_text="From this instant the clocks run.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class Closure(PlainForm):
    closure = text_field("What was done about it", rows=3)


class AskWaiver(PlainForm):
    controls = forms.MultipleChoiceField(
        label="Controls", widget=forms.CheckboxSelectMultiple, choices=[]
    )
    reason = text_field("Reason", "Why these controls need not pass for a while.", rows=3)
    compensating_control = text_field("Compensating control", "What is done instead.", rows=3)
    ends_at = day_field("Ends at the end of")

    def __init__(self, controls: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["controls"].choices = controls  # type: ignore[attr-defined]


class Conclude(PlainForm):
    conclusion = text_field("Conclusion", "Why it was no incident, or how it ended.", rows=3)
