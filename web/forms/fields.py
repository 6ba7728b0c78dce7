"""Kinds of fields that forms share, and the form that all of them are."""

from typing import Any

from django import forms

from registry.models import Use


def text_field(
    label: str, hint: str = "", *, rows: int = 4, required: bool = True
) -> forms.CharField:
    return forms.CharField(
        label=label,
        help_text=hint,
        required=required,
        max_length=20_000,
        widget=forms.Textarea(attrs={"rows": rows}),
    )


def line_field(
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


def password_field(label: str, hint: str = "", *, fresh: bool = False) -> forms.CharField:
    """Never given back with the rest of a form that was refused."""
    kind = "new-password" if fresh else "current-password"
    return forms.CharField(
        label=label,
        help_text=hint,
        strip=False,
        max_length=500,
        widget=forms.PasswordInput(attrs={"autocomplete": kind}),
    )


def day_field(label: str, hint: str = "", *, required: bool = True) -> forms.DateField:
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


class ByTitle(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs alone
    """A choice among rows, each called as pages call it."""

    def label_from_instance(self, obj: Any) -> str:
        if isinstance(obj, Use):
            return "Default use" if obj.is_default else obj.name
        return str(obj.title)
