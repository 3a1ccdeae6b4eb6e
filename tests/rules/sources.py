"""Syntax trees of the project, for the rules that read the code."""

import ast
import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SERVICE: Final = ("analytics_service", "api", "demo", "resolvers", "schema", "store")
"""Folders of the service; the modules at the root belong to it, too."""

ALL_FOLDERS: Final = (*SERVICE, "bench", "tests", "web")

_FOREIGN: Final = frozenset({"dist", "node_modules", "__pycache__"})


def python_files(root: Path, folders: tuple[str, ...] = SERVICE) -> Iterator[Path]:
    """List the Python files at the root and, at any depth, in some folders."""
    yield from sorted(root.glob("*.py"))
    for folder in folders:
        for parent, subfolders, files in os.walk(root / folder):
            subfolders[:] = sorted(set(subfolders) - _FOREIGN)
            yield from (Path(parent) / file for file in sorted(files) if file.endswith(".py"))


def modules(root: Path, folders: tuple[str, ...] = SERVICE) -> Iterator[tuple[str, ast.Module]]:
    """Yield each file as its path from the root and its syntax tree."""
    for path in python_files(root, folders):
        yield str(path.relative_to(root)), _parse(path.read_text())


@functools.cache
def _parse(text: str) -> ast.Module:
    """Parse a file; six rules read the whole tree, which takes a second to parse."""
    return ast.parse(text)


def imported_modules(tree: ast.Module) -> Iterator[str]:
    """List the modules that a file imports anywhere, as `a.b` for `from a.b import c`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield ast.unparse(node.args[0]).strip("'\"")


def imported_packages(tree: ast.Module) -> set[str]:
    """Return the top-level packages that a file imports."""
    return {name.partition(".")[0] for name in imported_modules(tree)}


def calls(tree: ast.Module) -> Iterator[str]:
    """List the functions that a file calls, as in its text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def texts(tree: ast.Module) -> Iterator[str]:
    """List the text constants of a file, without its docstrings."""
    docstrings = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in docstrings:
                yield text
