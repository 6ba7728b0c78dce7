"""The pages in a real browser: nothing scrolls sideways, nothing is blocked, the keyboard gets through."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests import factories as f
from tests.web import browser as browsers
from tests.web.scene import Scene, client_of

PATH = browsers.executable()
pytestmark = [
    pytest.mark.skipif(PATH is None, reason="no chromium is installed"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.slow,
]

TARGETS = """
[...document.querySelectorAll('a, button, input:not([type=hidden]), select, textarea, summary')]
  .filter(one => one.checkVisibility() && !one.closest('label, p, li, dd, td, th, .verdict, .lead, .foot'))
  .map(one => [one.getBoundingClientRect(), one])
  .filter(([box]) => box.width > 1 && (box.height < 23.5 || box.width < 23.5))
  .map(([box, one]) => one.outerHTML.slice(0, 90) + ` ${box.width}x${box.height}`)
"""
WIDE = "document.documentElement.scrollWidth"
FOCUSED = "document.activeElement.textContent.trim() || document.activeElement.id"
AXE = """
axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
  .then(found => found.violations.map(one => [one.id, one.nodes.slice(0, 2).map(node => node.html)]))
"""


@pytest.fixture
def site(
    transactional_db: None, own_sequencer_folder: object, live_server: Any
) -> tuple[Scene, str]:
    return Scene(), live_server.url


@pytest.fixture
def browser() -> Iterator[browsers.Browser]:
    assert PATH is not None
    with browsers.running(PATH) as running:
        yield running


def enter(browser: browsers.Browser, client: Client, url: str) -> None:
    """Bring the client's session into the browser."""
    cookie = client.cookies["sessionid"].value
    browser.call("Network.setCookie", name="sessionid", value=cookie, url=url)


def every_page(scene: Scene, url: str, browser: browsers.Browser) -> Iterator[tuple[str, str, int]]:
    """Open each page in turn, narrow and light, then wide and dark: its name, the look, the width."""
    for user, paths in (
        (scene.world.officer, scene.paths()),
        (scene.admin, {name: path for name, (path, _) in scene.restricted().items()}),
    ):
        enter(browser, client_of(user), url)
        for width, scheme in ((320, "light"), (1440, "dark")):
            browser.look(width=width, scheme=scheme)
            for name, path in paths.items():
                if name not in ("runs", "run progress", "report progress"):
                    browser.open(url + path)
                    yield name, scheme, width


def test_no_page_scrolls_sideways_or_is_hard_to_hit_or_blocks_anything(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    scene, url = site
    found: dict[str, list[str]] = {}
    for name, scheme, width in every_page(scene, url, browser):
        wrong = list(browser.said)
        if browser.run(WIDE) > width:
            wrong.append(f"scrolls sideways: {browser.run(WIDE)}")
        wrong += [f"small target: {one}" for one in browser.run(TARGETS)]
        if wrong:
            found[f"{name} at {width} {scheme}"] = wrong
    assert found == {}


@pytest.mark.skipif(
    browsers.axe_source() is None,
    reason="no axe-core: name its axe.min.js in COUNTERSIGN_AXE, or `npm install axe-core` above",
)
def test_axe_finds_nothing_on_any_page(site: tuple[Scene, str], browser: browsers.Browser) -> None:
    scene, url = site
    axe = browsers.axe_source()
    found: dict[str, list[str]] = {}
    for name, scheme, width in every_page(scene, url, browser):
        browser.run(f"{axe};0")
        wrong = [str(one) for one in browser.run(AXE)]
        if wrong:
            found[f"{name} at {width} {scheme}"] = wrong
    assert found == {}


def test_the_first_stop_of_the_keyboard_skips_to_the_content(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    scene, url = site
    enter(browser, client_of(scene.world.officer), url)
    browser.look(width=1440)
    browser.open(f"{url}/")
    stops = []
    for _ in range(4):
        browser.press("Tab")
        stops.append(browser.run(FOCUSED))
    assert stops[0] == "Skip to content"
    assert stops[1:3] == ["Countersign", "search"]
    assert browser.run("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_areas_open_from_the_menu_on_a_narrow_screen(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    scene, url = site
    enter(browser, client_of(scene.world.officer), url)
    browser.look(width=320)
    browser.open(f"{url}/")
    shown = "document.querySelector('#areas').checkVisibility()"
    assert browser.run(shown) is False
    browser.run("document.querySelector('.menu').click()")
    assert browser.run(shown) is True


def test_of_several_places_only_the_fields_of_the_chosen_one_show(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    scene, url = site
    enter(browser, client_of(scene.world.developer), url)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(f"{url}/datasets/register/")
    shown = "document.querySelector('[name=file]').checkVisibility()"
    assert browser.run(shown) is True
    browser.run("document.querySelector('[name=way][value=digest]').click()")
    assert browser.run(shown) is False
    assert browser.run("document.querySelector('[name=digest]').checkVisibility()") is True
    assert browser.said == []


def test_a_signature_from_the_keyboard_to_the_record(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    """The whole form works without script: it is filled and sent as a browser sends it."""
    scene, url = site
    review = scene.open_review
    scene.world.validate(review)
    enter(browser, client_of(scene.world.officer), url)
    browser.call("Emulation.setScriptExecutionDisabled", value=True)
    browser.open(f"{url}/reviews/{review.pk}/")
    browser.run(
        "document.querySelector('[name=decision][value=approve]').click();"
        "document.querySelector('[name=meaning][value=approval]').click();"
        "document.querySelector('[name=reason]').value = 'I agree';"
        f"document.querySelector('[name=password]').value = {f.PASSWORD!r};"
    )
    browser.said.clear()
    browser.run("document.querySelector('form[action$=\"sign/\"] button').click()")
    browser.wait_for("Page.loadEventFired")
    assert "Your signature is on record" in browser.run("document.body.innerText")
    assert review.signatures.get().user == scene.world.officer
    assert browser.said == []


def test_a_run_under_way_refreshes_itself_until_it_has_ended(
    site: tuple[Scene, str], browser: browsers.Browser
) -> None:
    from tests.monitoring import helpers

    scene, url = site
    enter(browser, client_of(scene.world.officer), url)
    browser.open(f"{url}/check-runs/{scene.queued.pk}/")
    assert browser.run("!!document.querySelector('progress')") is True
    helpers.finish(scene.queued)
    browser.wait_for("Page.loadEventFired")
    assert browser.run("!!document.querySelector('progress')") is False
    assert "Succeeded" in browser.run("document.querySelector('h1').innerText")
    assert browser.said == []
