"""The gate's decision, pure: `decide(facts, now)`. Whatever is not shown to hold denies.

Each answer is a list of results that name what was asked and what was seen: the gate's own controls
(`gate.…`), in the order in which they are looked at, then those of the policy.

*Judged and answered.* The judgement is `allow`, `deny` or `pending`. In an environment whose mode is
`enforce` that is the answer. In `observe` and `warn` the answer is always `allow`, while the verdict,
and with it the attestation, says FAILED unless the judgement was `allow`. `warn` differs in that the
answer carries a warning for people. An environment that does not exist has no mode and is enforced.

*Purposes.* `deploy` is judged in full. `rollback` of a digest that was live in the environment within
the policy's window passes over lapse, expiry and the policy's controls, and never over retired,
revoked, suspended, an unresolved breach or an approval that never was. `restart` of a digest that is
live there passes over everything but revoked, and a suspension whose effect is to fall back or to stop
or of which the policy says that it stops restarts.
A rollback or restart of what was not live there is judged as a deployment. What a fast path passes
over is listed with mode `warn`.
"""

from governance.gate.deciding import decide
from governance.gate.facts import (
    Answer,
    BreachFact,
    Decision,
    EnvironmentMode,
    GateFacts,
    Match,
    OpenReviewFact,
    PolicyInForce,
    Purpose,
    Question,
    Verdict,
    WaiverFact,
)

__all__ = [
    "Answer",
    "BreachFact",
    "Decision",
    "EnvironmentMode",
    "GateFacts",
    "Match",
    "OpenReviewFact",
    "PolicyInForce",
    "Purpose",
    "Question",
    "Verdict",
    "WaiverFact",
    "decide",
]
