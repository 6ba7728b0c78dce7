"""Datasets: what they are called, where they are, what they were made from."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.db.models import QuerySet

from kernel.errors import Invalid
from kernel.identifiers import parse_digest
from registry import demands
from registry.models import Dataset
from registry.schemas import CSV, PARQUET
from registry.sources.catalogue import NamedSource
from web.forms.fields import ByTitle, PlainForm, day_field, line_field, text_field

FILE, OBJECT, RELATION, DIGEST = "file", "object", "relation", "digest"
_WAYS = {
    FILE: "A file that you send",
    OBJECT: "An object in a bucket; it stays there",
    RELATION: "A table or query of a source; its rows stay there",
    DIGEST: "Its SHA-256 alone; the bytes may come later",
}
_NEEDED = {
    OBJECT: {"bucket": "choose the bucket", "key": "give the object's key"},
    RELATION: {"relation": "choose a table or query"},
    DIGEST: {"digest": "give the data's SHA-256"},
}
_ANY_TABLE = "*"


class RegisterDataset(PlainForm):
    """Data by its bytes, by where it is, or by its digest. Of the places only the chosen one counts."""

    title = line_field("Title")
    name = line_field(
        "Name",
        "Never changes. Lowercase letters, digits, hyphens: census-validation-1994.",
        longest=100,
    )
    way = forms.ChoiceField(label="Where the data are", widget=forms.RadioSelect, initial=FILE)
    file = forms.FileField(
        label="File",
        help_text="Parquet or CSV. Checks read it; it is never handed out.",
        required=False,
        allow_empty_file=True,
    )
    bucket = forms.ChoiceField(label="Bucket", required=False)
    key = line_field("Key of the object", "As 2026/loans.parquet.", required=False, longest=1024)
    relation = forms.ChoiceField(
        label="Table or query", help_text="What the operator named.", required=False
    )
    table = line_field(
        "Name of the table",
        "Only where any table of a schema may be chosen, as schema.table.",
        required=False,
    )
    changing = forms.BooleanField(
        label="Its rows change by design",
        help_text="Then its name and columns alone are pinned, and checks of it are recomputed at "
        "best. Else its rows are read now and digested: a few seconds for a million.",
        required=False,
    )
    media_type = forms.ChoiceField(
        label="Format",
        choices=[("", "as the name tells"), (PARQUET, "Parquet"), (CSV, "CSV")],
        required=False,
    )
    digest = line_field(
        "SHA-256",
        "Needed if it is all that you give. Of a file it must be its own. Of an object or a source "
        "nothing is read then: the first check verifies it.",
        required=False,
        longest=80,
    )
    contains_personal_data = forms.TypedChoiceField(
        label="Do they hold personal data?",
        choices=[("yes", "Yes"), ("no", "No")],
        coerce=lambda value: value == "yes",
        widget=forms.RadioSelect,
    )
    source = text_field("Where the data come from", rows=2, required=False)
    licence = line_field("Licence", required=False)
    collected_from = day_field("Collected from", required=False)
    collected_until = day_field("Collected until", required=False)

    def __init__(
        self,
        sources: Sequence[NamedSource],
        buckets: Sequence[str],
        *args: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.buckets, self.sources = list(buckets), list(sources)
        offered = {FILE, DIGEST, *([OBJECT] if buckets else []), *([RELATION] if sources else [])}
        ways = [(way, label) for way, label in _WAYS.items() if way in offered]
        self.fields["way"].choices = ways  # type: ignore[attr-defined]
        named = [("", "choose one"), *((name, name) for name in buckets)]
        self.fields["bucket"].choices = named  # type: ignore[attr-defined]
        relations = [("", "choose one"), *(_offered(one) for one in sources)]
        self.fields["relation"].choices = relations  # type: ignore[attr-defined]

    @property
    def any_table(self) -> bool:
        """Does a source let any table of a schema be named?"""
        return any(name.endswith(_ANY_TABLE) for one in self.sources for name in one.tables)

    @property
    def told(self) -> bool:
        """Is something said, or wrong, about where the data come from?"""
        names = ("source", "licence", "collected_from", "collected_until")
        return any(self.errors.get(name) or self[name].value() for name in names)

    def clean(self) -> dict[str, Any]:
        typed = super().clean() or {}
        for name, problem in _NEEDED.get(typed.get("way", ""), {}).items():
            if not typed.get(name) and name not in self.errors:
                self.add_error(name, problem)
        if typed.get("relation", "").endswith(_ANY_TABLE) and not typed.get("table"):
            self.add_error("table", "name the table, with its schema")
        try:
            if typed.get("name"):
                demands.slug(typed["name"], "name", longest=100)
            if typed.get("digest"):
                typed["digest"] = parse_digest(typed["digest"].lower(), "digest")
        except Invalid as error:
            self.add_error(error.field, error.detail)
        return typed

    def location(self) -> dict[str, str]:
        """The chosen place by the names that the operator gave it."""
        typed = self.cleaned_data
        if typed["way"] == OBJECT:
            return {"bucket": typed["bucket"], "key": typed["key"]}
        source, kind, name = typed["relation"].split("|", 2)
        return {"source": source, kind: typed["table"] if name.endswith(_ANY_TABLE) else name}

    def record(self) -> dict[str, Any]:
        """What the service keeps of any dataset, wherever it is."""
        kept = (
            "name", "title", "contains_personal_data", "source", "licence", "collected_from",
            "collected_until",
        )  # fmt: skip
        return {name: self.cleaned_data[name] for name in kept}

    def fields_of_errors(self) -> dict[str, str]:
        """What a service calls the fields of a location, and which field of the form holds each."""
        a_table = "table" if self.cleaned_data.get("table") else "relation"
        return {
            "location": "bucket" if self.cleaned_data["way"] == OBJECT else "relation",
            "location.bucket": "bucket",
            "location.key": "key",
            "location.source": "relation",
            "location.table": a_table,
            "location.query": "relation",
            "location.pinned": "changing",
        }


def _offered(source: NamedSource) -> tuple[str, list[tuple[str, str]]]:
    """A group of choices: what one source offers, as (source|table or query|name, words)."""
    about = ", ".join(filter(None, (source.title, source.backend)))
    tables = [
        (
            f"{source.name}|table|{name}",
            f"any table of {name[:-2]}, named below"
            if name.endswith(_ANY_TABLE)
            else f"table {name}",
        )
        for name in source.tables
    ]
    queries = [(f"{source.name}|query|{name}", f"query {name}") for name in sorted(source.queries)]
    return f"{source.name} ({about})", [*tables, *queries]


class MadeFrom(PlainForm):
    """One dataset that this one was made from. Empty, it is none."""

    dataset = ByTitle(label="Made from", queryset=Dataset.objects.none())
    transformation = text_field("How", "As: filtered to adults, then split by year.", rows=2)

    def __init__(self, readable: QuerySet[Dataset], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, empty_permitted=True, **kwargs)
        self.fields["dataset"].queryset = readable.order_by("title")  # type: ignore[attr-defined]


SOURCES = 3


def made_from_forms(readable: QuerySet[Dataset], data: Any = None) -> list[MadeFrom]:
    """The forms of up to three sources of one dataset."""
    return [MadeFrom(readable, data, prefix=f"made-{index}") for index in range(SOURCES)]
