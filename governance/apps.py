from django.apps import AppConfig


class GovernanceConfig(AppConfig):
    name = "governance"

    def ready(self) -> None:
        from accounts import erasure
        from audit.outbox import subscribe
        from governance import entries  # noqa: F401
        from governance.services import deployments, loop, reviews
        from registry.services import register_decision_check

        # Names on what was signed are kept until retention ends, whoever is erased.
        for signed in ("governance.review.signed", "governance.validation.written"):
            erasure.keep(signed)
        register_decision_check(deployments.check_decision)
        subscribe("monitoring.breach.opened", "react-to-breach", loop.react_to_breach)
        subscribe("registry.version.registered", "answer-retraining", loop.answer_retraining)
        subscribe(
            "registry.deployment.recorded", "look-at-deployment", deployments.look_at_deployment
        )
        for raised in reviews.RAISING:
            subscribe(raised, "close-stale-reviews", reviews.close_stale_reviews)
