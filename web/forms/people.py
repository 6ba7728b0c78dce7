"""People, service accounts, their roles, tokens and passwords."""

from typing import Any

from django import forms

from accounts.access import Scope
from accounts.models import Role, User
from registry.models import Portfolio, RegisteredModel
from web.forms.fields import PlainForm, day_field, line_field, password_field


class SignIn(PlainForm):
    username = forms.CharField(
        label="User name",
        max_length=150,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    password = password_field("Password")


class NewToken(PlainForm):
    name = line_field("Name", "Says later what the token is for.", longest=100)
    scopes = forms.MultipleChoiceField(
        label="Scopes",
        help_text="A token can never do more than its owner.",
        choices=[(scope.value, scope.value) for scope in Scope],
        widget=forms.CheckboxSelectMultiple,
    )
    expires = day_field("Expires at the end of", "At most 366 days from now.")


class NewPerson(PlainForm):
    prefix = "person"
    username = line_field("User name", longest=150)
    name = line_field("Full name", "As it will be printed on signatures.")
    email = line_field("E-mail", required=False)
    password = password_field("First password", "At least eight characters.", fresh=True)


class NewServiceAccount(PlainForm):
    prefix = "service"
    username = line_field("User name", longest=150)
    name = line_field("Name", "For example: GitLab deployments.")
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
    current = password_field("Present password")
    password = password_field("New password", fresh=True)
