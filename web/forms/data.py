"""Data that are there, and data that are not: datasets, periods, attributes that nobody is asked for."""

from collections.abc import Sequence
from typing import Any

from django import forms

from web.forms.fields import PlainForm, day_field, password_field, text_field


class DeclareNotCollected(PlainForm):
    """A signed statement; its attributes are those that the model's columns call not collected."""

    attribute = forms.ChoiceField(label="Attribute")
    reason = text_field(
        "Why it is not collected", "Validators and auditors read it under your name.", rows=3
    )
    until = day_field(
        "Ends at the end of",
        "366 days away at most. Then somebody looks again whether it can be collected.",
    )
    password = password_field(
        "Your password", "Proves that it is you who signs now. It counts for this statement alone."
    )

    def __init__(self, attributes: Sequence[str], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        choices = [(name, name) for name in attributes]
        self.fields["attribute"].choices = choices  # type: ignore[attr-defined]
