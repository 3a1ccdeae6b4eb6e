"""The two forms of the fault tests: short in `make test`, long in `make test-faults`.

FAULTS=long in the environment asks for the long form.
"""

import os
import random
import sys
from typing import Final, TypeVar

T = TypeVar("T")

LONG: Final = os.environ.get("FAULTS") == "long"


def short_or_long(short: T, long: T) -> T:
    """Return the value for the form of this run."""
    return long if LONG else short


def print_figure(text: str) -> None:
    """Print a figure, which `make test-faults` shows, and else only a failed test."""
    sys.stderr.write(f"{text}\n")


def seeded_random() -> random.Random:
    """Return a random generator whose seed is in the output of a failed test."""
    seed = random.randrange(2**32)
    print_figure(f"seed {seed}")
    return random.Random(seed)
