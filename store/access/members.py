"""Members of keys: people who get the rights of a key when they sign in by OpenID Connect."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from schema.errors import bad_input

MAX_MEMBERS: Final = 1_000
MAX_CHARACTERS: Final = 320

ANYONE: Final = "*"
"""Member that stands for each person whom the provider lets in."""

GROUP_PREFIX: Final = "group:"
_DOMAIN_PREFIX: Final = "*@"
_ADDRESS: Final = re.compile(r"[^\s@,]+@[^\s@,]+")


class Person(NamedTuple):
    """A person as the provider describes him: the name to show, verified address, groups."""

    name: str
    email: str | None = None
    groups: frozenset[str] = frozenset()


def check_members(members: Sequence[str]) -> None:
    """Raise `AnalyticsError` for a member that is no address, domain or group."""
    if len(members) > MAX_MEMBERS:
        raise bad_input("members", f"must be at most {MAX_MEMBERS}", limit=MAX_MEMBERS)
    for member in members:
        if len(member) > MAX_CHARACTERS:
            message = f"must have at most {MAX_CHARACTERS} characters each"
            raise bad_input("members", message, limit=MAX_CHARACTERS)
        is_group = member.startswith(GROUP_PREFIX) and member != GROUP_PREFIX
        if member == ANYONE or is_group:
            continue
        if not _ADDRESS.fullmatch(member) or "*" in member.removeprefix(_DOMAIN_PREFIX):
            message = "must be like ann@app.example, *@app.example, group:analysts, or *"
            raise bad_input("members", message)


def rank(members: Sequence[str], person: Person) -> int | None:
    """Return how closely the members name a person: 0 by address, 3 as anyone; None: not."""
    group_members = {member for member in members if member.startswith(GROUP_PREFIX)}
    addresses = {member.lower() for member in members if member not in group_members}
    address = (person.email or "").lower()
    if address in addresses:
        return 0
    if any(GROUP_PREFIX + group in group_members for group in person.groups):
        return 1
    if address and _DOMAIN_PREFIX + address.rpartition("@")[2] in addresses:
        return 2
    return 3 if ANYONE in addresses else None
