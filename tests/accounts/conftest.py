"""People of three kinds: one who administers, one who develops, one without any role."""

import pytest

from accounts.actors import actor_for
from accounts.models import OrganisationRole, Pseudonym, Role, User
from audit.actor import Actor
from kernel.moments import now

PASSWORD = "correct horse battery staple"


def person(username: str, *roles: Role) -> User:
    user = User(username=username, name=username.title())
    user.set_password(PASSWORD)
    user.save()
    Pseudonym.objects.create(subject=user.pk)
    for role in roles:
        OrganisationRole.objects.create(user=user, role=role, since=now())
    return user


@pytest.fixture
def admin(db: None) -> User:
    return person("admin", Role.ADMINISTRATOR)


@pytest.fixture
def developer(db: None) -> User:
    return person("dev", Role.DEVELOPER)


@pytest.fixture
def outsider(db: None) -> User:
    return person("outsider")


@pytest.fixture
def admin_actor(admin: User) -> Actor:
    return actor_for(admin)
