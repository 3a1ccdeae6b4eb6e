"""Members: the people who get the rights of a key when they sign in by OpenID Connect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.access import KeyKind, Scope
from schema.errors import AnalyticsError
from store.access.members import Person, check_members, rank
from store.access.registry import KeyRequest, Registry, add_key, revoke_key

NAMES = st.sampled_from(["ann", "Ann", "bob", "group:ann", "a*"])
DOMAINS = st.sampled_from(["acme.example", "ACME.example", "evil.example", "x.acme.example"])
ADDRESSES = st.builds("{}@{}".format, NAMES, DOMAINS)
GROUPS = st.sampled_from(["ops", "Ops", "ann@acme.example", "*"])
MEMBERS = st.one_of(
    ADDRESSES.filter(lambda address: "*" not in address and not address.startswith("group:")),
    DOMAINS.map("*@{}".format),
    GROUPS.map("group:{}".format),
    st.just("*"),
)
PEOPLE = st.builds(
    Person, st.just("p"), st.one_of(st.none(), ADDRESSES), st.frozensets(GROUPS, max_size=2)
)


def matches(member: str, person: Person) -> int | None:
    """Return the rank of one member, said plainly."""
    if member.startswith("group:"):
        return 1 if member[6:] in person.groups else None
    if member == "*":
        return 3
    if person.email is None:
        return None
    if member.startswith("*@"):
        return 2 if person.email.lower().endswith(member[1:].lower()) else None
    return 0 if person.email.lower() == member.lower() else None


@given(st.lists(MEMBERS, max_size=6), PEOPLE)
def test_rank(members: list[str], person: Person) -> None:
    """Members name a person by address, group, domain, or as anyone: the closest counts."""
    check_members(members)
    ranks = [match for member in members if (match := matches(member, person)) is not None]
    assert rank(members, person) == min(ranks, default=None)


@pytest.mark.parametrize(
    "member",
    [
        "",
        "ann",
        "@acme.example",
        "ann@",
        "*@",
        "*ann@acme.example",
        "a b@c",
        "group:",
        "*@*",
        "a@b@c",
    ],
)
def test_wrong_members(member: str) -> None:
    """A member that names nobody, or more people than it seems, is refused."""
    with pytest.raises(AnalyticsError, match=r"^members: must be like ann@app.example"):
        check_members([member])


def test_limits() -> None:
    """The number and the length of members are limited."""
    for members, limit in ((["a@b"] * 1_001, 1_000), ([f"{'a' * 320}@b"], 320)):
        with pytest.raises(AnalyticsError, match=r"^members: ") as error:
            check_members(members)
        assert error.value.limit == limit


def test_keys_with_members() -> None:
    """Only a key that can query has members."""
    member = ["ann@acme.example"]
    for request in (
        KeyRequest("k", KeyKind.PUBLIC, members=member),
        KeyRequest("k", KeyKind.SECRET, [Scope.RECORD], members=member),
    ):
        with pytest.raises(AnalyticsError, match=r"^members: are for"):
            add_key(Registry(), request, 0)


def test_the_closest_usable_key() -> None:
    """A person gets the key that names him most closely, the oldest of equals; no revoked one."""
    registry = Registry()
    domain, group, second_group, address = (
        add_key(registry, KeyRequest(members[0], KeyKind.ADMIN, members=members), 0)[0].id
        for members in (
            ["*@acme.example"],
            ["group:ops"],
            ["*@acme.example", "group:ops"],
            ["ann@acme.example", "bob@acme.example"],
        )
    )
    ann = Person("ann", "ann@acme.example", frozenset({"ops"}))
    for key_id in (address, group, second_group, domain):
        key = registry.key_of(ann, 1)
        assert key is not None
        assert key.id == key_id
        revoke_key(registry, key_id, 1)
    assert registry.key_of(ann, 1) is None
    assert registry.key_of(Person("eve", None), 0) is None
