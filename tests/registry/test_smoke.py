import pytest

from tests import factories as f

pytestmark = pytest.mark.django_db


def test_it():
    v = f.make_version()
    f.make_evidence(v)
    e = f.make_environment()
    f.make_deployment(v, e)
    f.make_dataset()
    f.bearer(f.make_user("x", "developer"))
