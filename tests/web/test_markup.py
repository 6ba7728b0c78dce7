"""What every page's HTML must keep to: nothing inline, one heading, labels, captions, sound ids."""

from collections import Counter
from html.parser import HTMLParser

import pytest
from django.test import Client

from tests.web.scene import Scene, client_of


class Page(HTMLParser):
    """The elements of a page, as (tag, attributes), and the text that a script or style would hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inline: list[str] = []
        self._within = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._within = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within and data.strip():
            self.inline.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def problems(text: str, *, partial: bool = False) -> list[str]:
    page = Page(text)
    found = [f"inline: {data[:60]}" for data in page.inline]
    found += [f"<style> on {attrs}" for attrs in page.all("style")]
    ids = Counter(attrs["id"] for _, attrs in page.elements if attrs.get("id"))
    found += [f"id twice: {name}" for name, count in ids.items() if count > 1]
    for tag, attrs in page.elements:
        found += [f"{tag} {name}" for name in attrs if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            value = attrs.get(name) or ""
            if value.startswith(("http:", "//", "javascript:", "data:")) and "verify" not in value:
                found.append(f"{tag} leads outside: {value}")
        for name in ("aria-labelledby", "aria-describedby", "popovertarget"):
            for wanted in (attrs.get(name) or "").split():
                if wanted not in ids:
                    found.append(f"{name} names nothing: {wanted}")
    labelled = {attrs.get("for") for attrs in page.all("label")}
    for tag in ("input", "select", "textarea"):
        for attrs in page.all(tag):
            hidden = attrs.get("type") == "hidden" or "hidden" in attrs
            if not hidden and attrs.get("id") not in labelled:
                found.append(f"no label: {attrs}")
    if len(page.all("table")) != len(page.all("caption")):
        found.append("a table without a caption")
    found += [f"th without scope: {attrs}" for attrs in page.all("th") if not attrs.get("scope")]
    found += [f"img without alt: {attrs}" for attrs in page.all("img") if "alt" not in attrs]
    for attrs in page.all("form"):
        if (attrs.get("method") or "").lower() == "post" and "csrfmiddlewaretoken" not in text:
            found.append("a form without a token")
    if not partial:
        once = {"h1": page.all("h1"), "main": page.all("main")}
        # A chart has a title of its own, which has an id.
        once["title"] = [attrs for attrs in page.all("title") if "id" not in attrs]
        found += [f"{len(all_)} of <{tag}>" for tag, all_ in once.items() if len(all_) != 1]
        if not any(attrs.get("lang") for attrs in page.all("html")):
            found.append("no language")
    return found


def test_every_page(scene: Scene) -> None:
    auditor = client_of(scene.auditor)
    pages = {name: (auditor, path) for name, path in scene.paths().items()}
    admin = client_of(scene.admin)
    pages |= {name: (admin, path) for name, (path, _) in scene.restricted().items()}
    owner = client_of(scene.world.submitter)
    officer = client_of(scene.world.officer)
    pages |= {f"{name}, owner": (owner, path) for name, path in scene.paths().items()}
    pages |= {f"{name}, officer": (officer, path) for name, path in scene.paths().items()}
    pages |= {
        "sign-in": (Client(), "/sign-in/"),
        "verify": (Client(), f"/verify/{scene.report.pk}/"),
        "404": (Client(), "/nowhere/"),
        "refused": (owner, "/people/"),
    }
    found = {}
    for name, (client, path) in pages.items():
        partial = name.split(",")[0] in ("runs", "run progress", "report progress")
        answer = client.get(path)
        wrong = problems(answer.content.decode(), partial=partial)
        if "default-src 'self'" not in answer["Content-Security-Policy"]:
            wrong.append("no content security policy")
        if wrong:
            found[name] = wrong
    assert found == {}


@pytest.mark.django_db
def test_an_error_page_needs_nothing_but_itself() -> None:
    from django.template.loader import render_to_string

    for template in (
        "400.html",
        "403.html",
        "403_csrf.html",
        "404.html",
        "500.html",
        "web/locked.html",
    ):
        assert problems(render_to_string(template)) == [], template


def test_what_people_typed_is_escaped(scene: Scene) -> None:
    scene.finding.title = "<script>alert(1)</script>"
    scene.finding.save()
    page = client_of(scene.auditor).get(f"/findings/{scene.finding.pk}/").content.decode()
    assert "<script>alert" not in page
    assert "&lt;script&gt;" in page
