"""Command line of the benchmarks: ``python -m bench [SECTION ...]``.

Each section starts the service, measures it, and prints a table. The temporary data is removed.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench import bulk, footprint, graphql, query, report, single, sums, sustained
from bench.client import CheckError
from bench.load import find_wrk
from bench.report import Section
from bench.service import ROOT
from bench.workspace import Workspace

SECTIONS: dict[str, Callable[[Workspace], Section | list[Section]]] = {
    "single": single.measure,
    "bulk": bulk.measure,
    "query": query.measure,
    "graphql": graphql.measure,
    "sums": sums.measure,
    "footprint": footprint.measure,
    "sustained": sustained.measure,
}


def main() -> int:
    """Run the chosen sections; return 1 if a section failed its checks."""
    options = _options()
    began = time.monotonic()
    names = options.sections or list(SECTIONS)
    if not (ROOT / "app.py").exists():
        return _print_error(f"there is no app.py in {ROOT}")
    if {"single", "bulk", "sustained"} & set(names):
        try:
            find_wrk()
        except CheckError as problem:
            return _print_error(str(problem))
    with tempfile.TemporaryDirectory(prefix="bench-", dir=options.folder) as folder:
        space = Workspace(Path(folder), options.seconds, options.rounds, options.minutes)
        head = report.header(space.folder)
        _print("\n".join(head))
        sections, problems = _run(space, names)
    _print(f"\n{time.monotonic() - began:,.0f} s in total")
    if options.json:
        content = {"header": head, "sections": [s.data() for s in sections], "problems": problems}
        options.json.write_text(json.dumps(content, indent=2) + "\n")
    return 1 if problems else 0


def _run(space: Workspace, names: list[str]) -> tuple[list[Section], list[str]]:
    sections, problems = [], []
    for name in names:
        sys.stderr.write(f"... {name}\n")
        try:
            result = SECTIONS[name](space)
        except (CheckError, OSError, subprocess.SubprocessError) as problem:
            problems.append(f"{name}: {problem}")
            _print(f"\nFAILED  {name}: {problem}")
        else:
            for section in result if isinstance(result, list) else [result]:
                sections.append(section)
                _print(f"\n{section.text()}")
    return sections, problems


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "sections", nargs="*", help=f"sections to run: {', '.join(SECTIONS)} (default: all)"
    )
    parser.add_argument(
        "--seconds", type=int, default=3, help="length of a round, in seconds (default 3)"
    )
    parser.add_argument("--rounds", type=int, default=3, help="rounds for each load (default 3)")
    parser.add_argument(
        "--minutes",
        type=float,
        default=0.5,
        help="length of the sustained load, in minutes (default 0.5)",
    )
    parser.add_argument("--folder", type=Path, help="parent folder of the temporary data")
    parser.add_argument("--json", type=Path, help="file for the figures as JSON")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown or min(options.seconds, options.rounds) < 1 or options.minutes <= 0:
        parser.error(
            f"unknown section {unknown[0]}" if unknown else "seconds, rounds or minutes too small"
        )
    return options


def _print_error(message: str) -> int:
    sys.stderr.write(f"{message}\n")
    return 1


def _print(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
