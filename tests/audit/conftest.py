import pytest

from audit import further, permission
from audit.actor import Actor
from audit.writing import Refused
from tests.audit import samples


def _only_samples(actor: Actor, action: str) -> None:
    if actor not in (samples.ADA, samples.BEN):
        raise Refused("not_permitted", f"{actor.name} may not {action}")


@pytest.fixture(autouse=True)
def samples_may(monkeypatch: pytest.MonkeyPatch) -> None:
    """The invented people have no accounts, so the accounts cannot decide about them."""
    monkeypatch.setattr(permission, "_deciders", [_only_samples])
    monkeypatch.setattr(further, "_checks", [])
