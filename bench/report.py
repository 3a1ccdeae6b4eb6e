"""The printed report: facts about the machine, then the tables of each section."""

import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_WIDTHS = (60, 12, 12, 12)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table: a figure, the baseline, and their ratio."""

    name: str
    unit: str
    ours: float | None
    baseline: float | None = None
    ratio: str = ""

    def line(self) -> str:
        cells = (self.name, self.unit, number(self.ours), number(self.baseline), self.ratio)
        return _align(cells)


@dataclass(slots=True)
class Section:
    """A table: rows under a heading that names the two columns of figures."""

    title: str
    ours: str = "service"
    baseline: str = ""
    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    samples: list[dict[str, float | None]] = field(default_factory=list)
    """Figures over time, with the same keys in each sample."""

    def compare(
        self, name: str, unit: str, ours: Sequence[float], baseline: Sequence[float] | None = None
    ) -> None:
        """Add a row with the medians of the rounds, and the median and range of their ratios."""
        self.rows.append(
            Row(
                name,
                unit,
                statistics.median(ours),
                statistics.median(baseline) if baseline else None,
                ratio(ours, baseline) if baseline else "",
            )
        )

    def add(self, name: str, unit: str, ours: float | None, baseline: float | None = None) -> None:
        """Add a row with single figures."""
        ratio_text = ratio([ours], [baseline]) if ours is not None and baseline is not None else ""
        self.rows.append(Row(name, unit, ours, baseline, ratio_text))

    def text(self) -> str:
        heading = f"{self.ours} / {self.baseline}" if self.baseline else ""
        lines = [_align((self.title, "unit", self.ours, self.baseline, heading))]
        lines.append("-" * max(len(lines[0]), sum(_WIDTHS) + 20))
        lines.extend(row.line() for row in self.rows)
        if self.samples:
            names = list(self.samples[0])
            cells = [names, *([number(sample[n]) for n in names] for sample in self.samples)]
            lines.append("")
            lines.extend("".join(f"{cell:>15}" for cell in row) for row in cells)
        lines.extend(f"  {note}" for note in self.notes)
        return "\n".join(lines)

    def data(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Table:
    """A table of any columns: the cells as text, and the figures of each row for programs."""

    title: str
    headings: tuple[str, ...]
    rows: list[tuple[str, ...]] = field(default_factory=list)
    figures: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        columns = [
            _align_column([heading, *cells])
            for heading, cells in zip(self.headings, zip(*self.rows, strict=True), strict=True)
            if any(cells)
        ]
        lines = ["  ".join(row) for row in zip(*columns, strict=True)]
        lines.insert(1, "-" * len(lines[0]))
        lines += [f"  {note}" for note in self.notes]
        return "\n".join([self.title, *(line.rstrip() for line in lines)])

    def data(self) -> dict[str, Any]:
        return {"title": self.title, "rows": self.figures, "notes": self.notes}


def _align_column(cells: list[str]) -> list[str]:
    """Pad the cells of a column: numbers on the left, text on the right."""
    width = max(map(len, cells))
    are_numbers = all(cell.replace(",", "").replace(".", "").isdigit() for cell in cells[1:])
    return [cell.rjust(width) if are_numbers else cell.ljust(width) for cell in cells]


def ratio(ours: Sequence[float], baseline: Sequence[float]) -> str:
    """Return the median, the smallest and the largest of the ratios of the rounds."""
    ratios = sorted(a / b for a, b in zip(ours, baseline, strict=True) if b)
    if not ratios:
        return ""
    middle = f"{statistics.median(ratios):.2f}"
    return middle if len(ratios) == 1 else f"{middle} ({ratios[0]:.2f}-{ratios[-1]:.2f})"


def median_ratio(ours: Sequence[float], baseline: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(ours, baseline, strict=True))


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which ``share`` of the values lie (nearest rank)."""
    sorted_values = sorted(values)
    return sorted_values[max(0, math.ceil(share * len(sorted_values)) - 1)]


def number(value: float | None) -> str:
    """Return a figure with about three significant digits, or a dash for no figure."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def print_sample(section: str, sample: dict[str, float | None]) -> None:
    """Print a sample while its section runs."""
    figures = ", ".join(f"{name} {number(value)}" for name, value in sample.items())
    sys.stderr.write(f"... {section} {figures}\n")


def header(folder: Path) -> list[str]:
    versions = ", ".join(f"{name} {_version(name)}" for name in ("fastapi", "uvicorn", "chdb-core"))
    fsync = fdatasync_us(folder)
    lines = [
        f"analytics-service bench, {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}",
        f"machine     {os.cpu_count()} cores, {_cpu_model()}, {platform.system()}",
        f"software    Python {platform.python_version()}, {versions}",
        "durability  service: fsync before every acknowledgement; naive: memory only",
        f"disk        {fsync:,.0f} us for a 4 KiB append and fdatasync (median of 100)",
        "reading     load and service share the machine: trust ratios, not absolute figures",
    ]
    if fsync < 20:
        lines.append(
            "            this is probably a file system in memory; choose a disk with --folder"
        )
    return lines


def fdatasync_us(folder: Path, times: int = 100) -> float:
    """Return the median time of a 4 KiB append and fdatasync, in microseconds."""
    sync = getattr(os, "fdatasync", os.fsync)
    block = os.urandom(4096)
    times_us = []
    handle = os.open(folder / "fdatasync", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        for _ in range(times):
            began = time.perf_counter()
            os.write(handle, block)
            sync(handle)
            times_us.append((time.perf_counter() - began) * 1e6)
    finally:
        os.close(handle)
    return statistics.median(times_us)


def _align(cells: tuple[str, str, str, str, str]) -> str:
    name, unit, ours, baseline, note = cells
    widths = _WIDTHS
    return (
        f"{name:<{widths[0]}}{unit:<{widths[1]}}{ours:>{widths[2]}}{baseline:>{widths[3]}}   {note}"
    ).rstrip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.machine()
