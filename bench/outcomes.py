"""Outcomes of recorded batches, read from the responses of both APIs."""

import json
from typing import Any, NamedTuple

from bench.client import CheckError


class Outcome(NamedTuple):
    """The counts of rows in the response to a batch."""

    accepted: int
    rejected: int = 0
    duplicates: int = 0


def read_outcome(response: bytes) -> Outcome:
    """Return the counts of a response of REST or GraphQL; fail if it has none."""
    content: dict[str, Any] = json.loads(response)
    if content.get("data"):
        (content,) = content["data"].values()
    if "accepted" not in content:
        raise CheckError(f"a batch was refused: {response[:500].decode(errors='replace')}")
    return Outcome(content["accepted"], content["rejected"], content["duplicates"])
