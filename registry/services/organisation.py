"""Legal entities and portfolios: what every model belongs to."""

from accounts.access import require
from audit.actor import Actor
from audit.writing import write
from kernel.moments import now
from registry import demands
from registry.models import LegalEntity, Portfolio
from registry.services.steps import insert_once, note


@write
def register_legal_entity(slug: str, *, name: str, actor: Actor) -> LegalEntity:
    """Name a company or authority that answers in law for uses."""
    require(actor, "organisation.manage")
    demands.slug(slug, "slug", longest=60)
    with insert_once("a legal entity of this slug exists", "slug"):
        entity = LegalEntity.objects.create(slug=slug, name=demands.text(name, "name", longest=200))
    note(
        "registry.legal_entity.registered",
        entity,
        actor=actor,
        at=now(),
        public={"slug": slug},
        private={"name": entity.name},
    )
    return entity


@write
def register_portfolio(slug: str, *, name: str, actor: Actor) -> Portfolio:
    """Make a flat group of models that share those who are responsible for them."""
    require(actor, "organisation.manage")
    demands.slug(slug, "slug", longest=60)
    with insert_once("a portfolio of this slug exists", "slug"):
        portfolio = Portfolio.objects.create(
            slug=slug, name=demands.text(name, "name", longest=200)
        )
    note(
        "registry.portfolio.registered",
        portfolio,
        actor=actor,
        at=now(),
        public={"slug": slug},
        private={"name": portfolio.name},
    )
    return portfolio
