"""What people type. A form reads and keeps the words; whether they are right, the services say."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any

from django import forms

from accounts.access import Scope
from accounts.models import Role, User
from governance.models import Finding, Signature, Validation
from monitoring.models import CheckKind
from registry.models import (
    Dataset,
    Environment,
    ModelVersion,
    Portfolio,
    RegisteredModel,
    Use,
)


def _text(label: str, hint: str = "", *, rows: int = 4, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=required,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": rows}),
    )


def _line(
    label: str, hint: str = "", *, required: bool = True, longest: int = 200
) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=required,
        max_length=longest,
        # None of these is about the person who types.
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )


def _password(label: str, hint: str = "", *, fresh: bool = False) -> forms.CharField:
    """Never given back with the rest of a form that was refused."""
    kind = "new-password" if fresh else "current-password"
    return forms.CharField(
        label=label,
        help_text=hint,
        strip=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": kind}),
    )


def _day(label: str, hint: str = "", *, required: bool = True) -> forms.DateField:
    return forms.DateField(
        label=label,
        help_text=hint,
        required=required,
        widget=forms.DateInput(attrs={"type": "date"}),
    )


class PlainForm(forms.Form):
    """No browser-side `required` bubbles: the page itself says what is wrong, beside the field."""

    use_required_attribute = False
    error_css_class = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("label_suffix", "")
        super().__init__(*args, **kwargs)


class SignIn(PlainForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = _password("Password")


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
    reason = _text("Reason", "Printed with your name in every report of this version.", rows=2)
    password = _password(
        "Your password", "Proves that it is you who signs now. It counts for this signature alone."
    )


class WriteValidation(PlainForm):
    """An independent validator's findings on one dossier."""

    prefix = "validation"
    scope = _text("Scope", "What was looked at, and what was not.", rows=3)
    rating = forms.ChoiceField(
        label="Rating", choices=Validation.Rating.choices, widget=forms.RadioSelect
    )
    conclusion = _text("Conclusion")
    limitations = _text("Limitations", rows=3, required=False)


class FindingForm(PlainForm):
    """Something that must be done about the version. Empty, it is no finding."""

    title = _line("Finding")
    detail = _text("What is wrong, and what is to be done", rows=3)
    severity = forms.ChoiceField(label="Severity", choices=Finding.Severity.choices)
    owner = forms.ModelChoiceField(label="Owner", queryset=User.objects.none())
    due_at = _day("Due at the end of")

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
    reason = _text("Reason", rows=3)


class ByTitle(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs alone
    """A choice among rows, each called as pages call it."""

    def label_from_instance(self, obj: Any) -> str:
        if isinstance(obj, Use):
            return "Default use" if obj.is_default else obj.name
        return str(obj.title)


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

    def __init__(self, version: ModelVersion, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        held = Dataset.objects.exclude(blob=None, location=None).order_by("name")
        for name in ("dataset", "reference"):
            self.fields[name].queryset = held  # type: ignore[attr-defined]


class Submit(PlainForm):
    prefix = "submit"
    use = ByTitle(label="Use", queryset=Use.objects.none())
    environment = ByTitle(label="Environment", queryset=Environment.objects.none())
    note = _text("Note", "What reviewers should know.", rows=3, required=False)

    def __init__(self, version: ModelVersion, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        uses = Use.objects.filter(model=version.model_id, retired_at=None).order_by("-is_default")
        self.fields["use"].queryset = uses  # type: ignore[attr-defined]
        self.fields["use"].initial = uses.first()
        places = Environment.objects.filter(settings__until=None).order_by("-settings__position")
        self.fields["environment"].queryset = places  # type: ignore[attr-defined]
        self.fields["environment"].initial = places.first()


class Resolve(PlainForm):
    resolution = _text(
        "Resolution",
        "What was found and done. Once resolved, this breach no longer closes the gate.",
    )


class Classify(PlainForm):
    """An incident's class and the instant at which the organisation became aware of it."""

    incident_class = _line(
        "Class", "As your procedure names it, for example serious-incident.", longest=40
    )
    aware_at = forms.DateTimeField(
        label="Aware since (UTC)",
        help_text="From this instant the clocks run.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


class Closure(PlainForm):
    closure = _text("What was done about it", rows=3)


class AskWaiver(PlainForm):
    controls = forms.MultipleChoiceField(
        label="Controls", widget=forms.CheckboxSelectMultiple, choices=[]
    )
    reason = _text("Reason", "Why these controls need not pass for a while.", rows=3)
    compensating_control = _text("Compensating control", "What is done instead.", rows=3)
    ends_at = _day("Ends at the end of")

    def __init__(self, controls: Sequence[tuple[str, str]], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["controls"].choices = controls  # type: ignore[attr-defined]


class Conclude(PlainForm):
    conclusion = _text("Conclusion", "Why it was no incident, or how it ended.", rows=3)


class NewToken(PlainForm):
    name = _line("Name", "Says later what the token is for.", longest=100)
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        help_text="A token can never do more than its owner.",
        choices=[(scope.value, scope.value) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
    )
    expires = _day("Expires at the end of", "At most 366 days from now.")


class NewPerson(PlainForm):
    prefix = "person"
    username = _line("User name", longest=150)
    name = _line("Full name", "As it will be printed on signatures.")
    email = _line("E-mail", required=False)
    password = _password("First password", "At least eight characters.", fresh=True)


class NewServiceAccount(PlainForm):
    prefix = "service"
    username = _line("User name", longest=150)
    name = _line("Name", "For example: GitLab deployments.")
    responsible = forms.ModelMultipleChoiceField(
        label="Responsible people",
        help_text="They count as authors of what the account registers.",
        queryset=User.objects.none(),
        widget=forms.CheckboxSelectMultiple,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = User.objects.filter(kind=User.Kind.PERSON, is_active=True).order_by("name")
        self.fields["responsible"].queryset = people  # type: ignore[attr-defined]


class GrantRole(PlainForm):
    role = forms.ChoiceField(label="Role for every model", choices=Role.choices)


class GrantOn(PlainForm):
    """A role on one model, or on one portfolio and so on every model in it."""

    prefix = "on"
    scoped_role = forms.ChoiceField(label="Role", choices=Role.choices)
    subject = forms.ChoiceField(
        label="On", help_text="A role on a portfolio reaches every model in it, later ones too."
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._subjects: dict[str, RegisteredModel | Portfolio] = {
            f"{kind}.{one.pk}": one
            for kind, rows in (
                ("portfolio", Portfolio.objects.order_by("name")),
                ("model", RegisteredModel.objects.filter(retired_at=None).order_by("title")),
            )
            for one in rows
        }
        groups: dict[str, list[tuple[str, str]]] = {"Portfolios": [], "Models": []}
        for key, one in self._subjects.items():
            title = one.name if isinstance(one, Portfolio) else one.title
            groups["Portfolios" if isinstance(one, Portfolio) else "Models"].append((key, title))
        choices = [(title, rows) for title, rows in groups.items() if rows]
        self.fields["subject"].choices = choices  # type: ignore[attr-defined]

    def chosen(self) -> RegisteredModel | Portfolio:
        return self._subjects[self.cleaned_data["subject"]]


class ChangePassword(PlainForm):
    current = _password("Present password")
    password = _password("New password", fresh=True)


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

    type = _line("Type", required=False, longest=100)
    object = _line("Object id", required=False)
    since = _day("From", required=False)
    until = _day("To", required=False)
