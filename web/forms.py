"""What people type. A form reads and keeps the words; whether they are right, the services say."""

from typing import Any

from django import forms

from accounts.access import Scope
from accounts.models import Role, User
from governance.models import Signature, Validation


def _text(label: str, hint: str = "", *, rows: int = 4, required: bool = True) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=required,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": rows}),
    )


def _line(label: str, hint: str = "", *, required: bool = True, longest: int = 200) -> forms.CharField:
    return forms.CharField(label=label, help_text=hint, required=required, max_length=longest)


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
    reason = _text("Reason", "Printed with your name in every report of this version.")
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


class Reason(PlainForm):
    reason = _text("Reason", rows=3)


class Resolve(PlainForm):
    resolution = _text(
        "Resolution",
        "What was found and done. Once resolved, this breach no longer closes the gate.",
    )


class Classify(PlainForm):
    """An incident's class and the instant at which the organisation became aware of it."""

    incident_class = _line("Class", "As your procedure names it, for example serious-incident.", longest=40)
    aware_at = forms.DateTimeField(
        label="Aware since (UTC)",
        help_text="From this instant the clocks run.",
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )


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


class ChangePassword(PlainForm):
    current = _password("Present password")
    password = _password("New password", fresh=True)


class RequestReport(PlainForm):
    """Which version, and under which use and environment its standing is told."""

    version = forms.ChoiceField(label="Version")
    use = forms.ChoiceField(label="Use", required=False)
    environment = forms.ChoiceField(label="Environment", required=False)


class AuditSearch(PlainForm):
    """Filters of the audit log; all optional, all by index."""

    type = _line("Type", required=False, longest=100)
    object = _line("Object id", required=False)
    since = _day("From", required=False)
    until = _day("To", required=False)
