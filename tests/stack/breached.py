"""Run as a process: `prepare` an approved version; record a `breach` of it; do a worker's part, `sweep`."""

import json
import sys
from typing import Any


def prepare() -> dict[str, Any]:
    from django.core.management import call_command

    call_command("up", "--prepare-only", "--quiet")
    from accounts.models import Role
    from registry import services
    from tests import factories as f
    from tests.governance import world as worlds
    from tests.monitoring import helpers

    world = worlds.make_world()
    owner = f.actor_of(world.owner)
    services.declare_columns(world.version.model, helpers.COLUMNS, actor=owner)
    world.refresh()
    worlds.approve(world)
    engineer = f.make_user("engineer", Role.DEVELOPER, Role.OPERATOR)
    return {
        "token": f.token_for(engineer),
        "question": world.question(),
        "model": world.version.model.name,
        "dataset": helpers.dataset().name,
    }


def breach() -> dict[str, Any]:
    """What a worker elsewhere, or a check that was under way, records through the service."""
    from governance.models import Approval
    from tests.governance import world as worlds

    approval = Approval.objects.get()
    world = worlds.World(
        version=approval.version,
        use=approval.use,
        environment=approval.environment,
        policy=approval.policy_revision,
        **dict.fromkeys(
            ("developer", "risk_officer", "owner", "operator", "pipeline"),
            approval.review.submitted_by,
        ),
    )
    return {"breach": str(worlds.make_breach(world).pk)}


def sweep() -> dict[str, Any]:
    from audit import outbox

    while outbox.sweep():
        pass
    from governance.models import Finding, Incident, RetrainingRequest, Suspension

    rows = (Finding, Suspension, Incident, RetrainingRequest)
    return {model.__name__: model.objects.count() for model in rows}


if __name__ == "__main__":
    import django

    django.setup()
    done = {"prepare": prepare, "breach": breach, "sweep": sweep}[sys.argv[1]]()
    sys.stdout.write(json.dumps(done))
