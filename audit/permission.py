"""Who may read the log and change its surroundings. The layer above decides; this one only asks.

Actions here are `audit.read`, `payload.erase` and `webhook.manage`. While nobody decides, all is refused.
"""

from collections.abc import Callable

from audit.actor import Actor
from audit.writing import Refused

Decider = Callable[[Actor, str], None]

_deciders: list[Decider] = []


def decide_by(decider: Decider) -> None:
    """Let `decider` raise `Refused` for what an actor may not do. Called in `AppConfig.ready()`."""
    _deciders[:] = [decider]


def require(actor: Actor, action: str) -> None:
    """Refuse unless `actor` may do `action`.

    Raises:
        Refused: with the decider's code and reason.
    """
    if not _deciders:
        raise Refused("not_permitted", "nothing here decides who may do this")
    for decide in _deciders:
        decide(actor, action)
