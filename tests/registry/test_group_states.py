"""A sensitive attribute is measured, proxied by a registered version, or not collected."""

import uuid

import pytest

from accounts.models import Role
from kernel.errors import Invalid
from registry import services
from tests import factories

pytestmark = pytest.mark.django_db(transaction=True)


def declare(model, entry):
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    return services.declare_columns(model, {"label": "y", "sensitive": [entry]}, actor=owner)


def proxied(version):
    proxy = {"version": str(version), "columns": {"A": "p_a", "B": "p_b"}}
    return {"name": "race", "state": "proxied", "proxy": proxy}


def test_the_proxy_is_a_version_on_record():
    version = factories.make_version()
    assert declare(version.model, proxied(version.pk)).columns["sensitive"] == [proxied(version.pk)]
    with pytest.raises(Invalid) as caught:
        declare(version.model, proxied(uuid.uuid4()))
    assert caught.value.field == "columns.sensitive[0].proxy.version"


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ({"name": "x", "state": "guessed"}, "[0].state"),
        ({"name": "x", "state": ["proxied"]}, "[0].state"),
        ({"name": "x", "state": "proxied"}, "[0].proxy"),
        (
            {"name": "x", "state": "proxied", "proxy": {"version": "v", "columns": {"a": "b"}}},
            "version",
        ),
        (
            {
                "name": "x",
                "state": "proxied",
                "proxy": {"version": str(uuid.uuid4()), "columns": {"a": "p", "b": "p"}},
            },
            "columns",
        ),
        ({"name": "x", "state": "not_collected", "column": "x"}, "[0]"),
        ({"name": "x", "state": "not_collected", "declaration": "mine"}, "[0]"),
    ],
)
def test_a_malformed_state_names_its_field(entry, field):
    with pytest.raises(Invalid) as caught:
        declare(factories.make_model(), entry)
    assert caught.value.field.endswith(field)


def test_a_control_is_a_column_in_whose_strata_groups_are_compared():
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    columns = {"label": "y", "sensitive": ["sex"], "controls": [{"name": "age", "edges": [40]}]}
    assert services.declare_columns(factories.make_model(), columns, actor=owner).columns == columns


@pytest.mark.parametrize(
    ("controls", "field"),
    [
        ("education", "columns.controls"),
        (["sex"], "columns.controls"),
        (["education", "education"], "columns.controls"),
        ([{"name": "education", "state": "not_collected"}], "columns.controls[0].state"),
        ([{"name": "age", "edges": [65, 40]}], "columns.controls[0].edges"),
    ],
)
def test_a_malformed_control_names_its_field(controls, field):
    owner = factories.actor_of(factories.make_user(None, Role.OWNER))
    columns = {"label": "y", "sensitive": ["sex"], "controls": controls}
    with pytest.raises(Invalid) as caught:
        services.declare_columns(factories.make_model(), columns, actor=owner)
    assert list(caught.value.fields) == [field]
