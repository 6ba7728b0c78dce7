"""Environments and policies, read as sentences."""

from django.http import Http404, HttpRequest, HttpResponse

from governance.facts import policy_document
from governance.models import Policy, PolicyBinding, PolicyRevision
from kernel.errors import Invalid
from registry.models import EnvironmentSetting
from web.pages import page, show


@page()
def policies(request: HttpRequest) -> HttpResponse:
    """Each environment with its mode and the policies that govern it; each policy."""
    settings = (
        EnvironmentSetting.objects.filter(until=None)
        .select_related("environment", "decided_by")
        .order_by("position")
    )
    bindings = PolicyBinding.objects.filter(until=None).select_related("policy")
    governed: dict[object, list[PolicyBinding]] = {}
    for binding in bindings.order_by("tier"):
        governed.setdefault(binding.environment_id, []).append(binding)
    context = {
        "environments": [(row, governed.get(row.environment_id, [])) for row in settings],
        "policies": [
            (policy, next(iter(policy.revisions.all()), None))
            for policy in Policy.objects.order_by("title").prefetch_related("revisions")
        ],
    }
    return show(request, "policies/list.html", context)


@page()
def policy(request: HttpRequest, name: str, number: int | None = None) -> HttpResponse:
    """What a revision of a policy says, the newest unless another is asked for."""
    revisions = list(
        PolicyRevision.objects.filter(policy__name=name)
        .select_related("policy", "published_by")
        .order_by("-number")
    )
    row = next((one for one in revisions if number in (None, one.number)), None)
    if row is None:
        raise Http404("no such policy or revision")
    problem = ""
    try:
        document = policy_document(row)
    except Invalid as error:
        document, problem = None, error.detail
    context = {
        "revision": row,
        "policy": row.policy,
        "newest": revisions[0].number == row.number,
        "revisions": revisions,
        "document": document,
        "sentences": document.sentences() if document else [],
        "problem": problem,
        "bindings": PolicyBinding.objects.filter(policy=row.policy, until=None).select_related(
            "environment"
        ),
    }
    return show(request, "policies/policy.html", context)
