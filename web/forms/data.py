"""Data that are there, and data that are not: datasets, periods, attributes that nobody is asked for."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from django import forms

from kernel.errors import Invalid
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


class RollUp(PlainForm):
    """A period of whole days in UTC, as the windows of monitors are."""

    since = day_field("From the start of")
    until = day_field("To the end of", "Only windows that lie wholly in the period are added up.")

    def period(self) -> tuple[datetime, datetime]:
        """The typed days as an interval that does not hold its end.

        Raises:
            Invalid: naming `until`: the calendar ends there.
        """
        first, last = self.cleaned_data["since"], self.cleaned_data["until"]
        if last == date.max:
            raise Invalid("is the last day of the calendar", field="until")
        return (
            datetime.combine(first, time.min, UTC),
            datetime.combine(last + timedelta(days=1), time.min, UTC),
        )
