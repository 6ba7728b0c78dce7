"""An approved version with checks, for tests of the Django half of reports."""

from typing import Any

from accounts.models import Role
from audit.sequencer import Sequencer
from monitoring import services as monitoring
from registry import services as registry
from reports import issuing
from reports.models import Report
from reports.services import request_report
from tests import factories
from tests.governance.support import World
from tests.monitoring import helpers


def approved() -> World:
    """A version with a check, evidence and data, submitted, validated, signed by two and approved."""
    world = World()
    registry.declare_columns(
        world.version.model,
        helpers.COLUMNS,
        actor=factories.actor_of(factories.make_user(None, Role.OWNER)),
    )
    factories.make_evidence(world.version)
    measure(world)
    world.approve()
    world.version.refresh_from_db()
    return world


def measure(world: World, **fields: Any) -> None:
    """A performance check that has succeeded, as the engine would have it."""
    world.version.refresh_from_db()
    run = helpers.request(world.version, **fields)
    helpers.finish(run)


def auditor() -> Any:
    return factories.make_user(None, Role.AUDITOR)


def requested(world: World) -> Report:
    actor = factories.actor_of(auditor())
    return request_report(world.version, world.use, world.environment, actor=actor)


def issued(world: World) -> Report:
    """A report made as a worker does, the sequencer having run where another process would."""
    report = requested(world)
    issuing.make(report.pk, proof_wait=0)
    Sequencer().drain()
    made = issuing.make(report.pk, proof_wait=0)
    assert made is not None
    made.refresh_from_db()
    assert made.state == Report.State.ISSUED, made.error
    return made


__all__ = ["approved", "auditor", "issued", "measure", "monitoring", "requested"]
