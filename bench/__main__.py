"""Command line of the benchmarks: ``python -m bench [SECTION ...]``.

Each section starts the service, measures it, and prints a table. The temporary data is removed.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from bench import (
    access,
    bulk,
    bystander,
    footprint,
    graphql,
    hostile,
    query,
    report,
    single,
    soak,
    subscriptions,
    sums,
    sustained,
)
from bench.client import CheckError
from bench.load import find_wrk
from bench.report import Section, Table
from bench.scenarios import SENDERS
from bench.service import ROOT
from bench.spellings import COMPACT_MS, SIZES, SPELLINGS, VICTORIA_LINES
from bench.workspace import BulkOptions, SoakOptions, Workspace

SECTIONS: dict[str, Callable[[Workspace], Section | Iterable[Section | Table]]] = {
    "single": single.measure,
    "access": access.measure,
    "bulk": bulk.measure,
    "query": query.measure,
    "graphql": graphql.measure,
    "hostile": hostile.measure,
    "bystander": bystander.measure,
    "sums": sums.measure,
    "footprint": footprint.measure,
    "sustained": sustained.measure,
    "subscriptions": subscriptions.measure,
    "soak": soak.measure,
}
ON_REQUEST = {"soak"}
"""Sections that run only if they are named."""

_SECONDS = 3
_BULK_SECONDS = 2


def main() -> int:
    """Run the chosen sections; return 1 if a section failed its checks."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # stops the programs
    began = time.monotonic()
    names = options.sections or [name for name in SECTIONS if name not in ON_REQUEST]
    if not (ROOT / "app.py").exists():
        return _print_error(f"there is no app.py in {ROOT}")
    uses_wrk = {"single", "access", "sustained"} & set(names)
    if uses_wrk or ("bulk" in names and "wrk" in options.senders):
        try:
            find_wrk()
        except CheckError as problem:
            return _print_error(str(problem))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        space = _workspace(Path(folder), options)
        head = report.header(space.folder)
        _print("\n".join(head))
        sections, problems = _run(space, names)
    _print(f"\n{time.monotonic() - began:,.0f} s in total")
    if options.json:
        content = {"header": head, "sections": [s.data() for s in sections], "problems": problems}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if problems else 0


def _workspace(folder: Path, options: argparse.Namespace) -> Workspace:
    spellings = frozenset(options.spellings and [*options.spellings, COMPACT_MS, VICTORIA_LINES])
    return Workspace(
        folder,
        options.seconds or _SECONDS,
        options.rounds,
        options.minutes,
        BulkOptions(
            options.seconds or _BULK_SECONDS,
            spellings,
            options.senders,
            tuple(map(int, options.sizes)),
        ),
        SoakOptions(options.soak_seconds, options.soak_rate),
    )


def _run(space: Workspace, names: list[str]) -> tuple[list[Section | Table], list[str]]:
    tables: list[Section | Table] = []
    problems = []
    for name in names:
        sys.stderr.write(f"... {name}\n")
        try:
            result = SECTIONS[name](space)
            for table in [result] if isinstance(result, Section) else result:
                tables.append(table)
                _print(f"\n{table.text()}")
        except (CheckError, OSError, subprocess.SubprocessError) as problem:
            problems.append(f"{name}: {problem}")
            _print(f"\nFAILED  {name}: {problem}")
    return tables, problems


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections",
        nargs="*",
        help=f"sections to run: {', '.join(SECTIONS)} (default: all but {', '.join(ON_REQUEST)})",
    )
    parser.add_argument(
        "--seconds",
        type=_at_least_one,
        help=f"length of a round, in seconds (default {_SECONDS}; of bulk {_BULK_SECONDS})",
    )
    parser.add_argument(
        "--rounds", type=_at_least_one, default=3, help="rounds for each load (default 3)"
    )
    parser.add_argument(
        "--minutes",
        type=_positive,
        default=0.5,
        help="length of the sustained load, in minutes (default 0.5)",
    )
    _add_bulk_options(parser)
    parser.add_argument(
        "--soak-seconds", type=_positive, default=600, help="length of the soak (default 600)"
    )
    parser.add_argument(
        "--soak-rate",
        type=float,
        default=100_000,
        help="rows per second of the soak; 0: no limit (default 100,000)",
    )
    parser.add_argument("--folder", type=Path, help="parent folder of the temporary data")
    parser.add_argument("--json", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"unknown section {unknown[0]}")
    return options


def _add_bulk_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that let bulk measure less."""
    spellings = [spelling.name for spelling in SPELLINGS]
    senders = [sender.name for sender in SENDERS]
    sizes = [str(size) for size in SIZES]
    for option, names, addition in (
        ("--spellings", spellings, f"; {COMPACT_MS} and {VICTORIA_LINES} are always measured"),
        ("--senders", senders, ""),
        ("--sizes", sizes, " (rows per request)"),
    ):
        scope = " and soak" if option == "--spellings" else ""
        parser.add_argument(
            option,
            type=_names_among(names),
            default=() if option == "--spellings" else ",".join(names),
            metavar="NAME[,NAME...]",
            help=f"{option[2:]} of bulk{scope}: {', '.join(names)}{addition} (default: all)",
        )


def _names_among(names: list[str]) -> Callable[[str], tuple[str, ...]]:
    """Return the parser of an option with some of the names."""

    def parse(text: str) -> tuple[str, ...]:
        chosen_names = tuple(text.split(","))
        for name in chosen_names:
            if name not in names:
                raise argparse.ArgumentTypeError(f"{name} is none of {', '.join(names)}")
        return chosen_names

    return parse


def _at_least_one(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _positive(text: str) -> float:
    if (number := float(text)) <= 0:
        raise argparse.ArgumentTypeError("must be positive")
    return number


def _print_error(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
