"""Names are nouns of the domain, or verbs with their object: never a bare function word."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.harness.process import ROOT
from tests.rules.sources import ALL_FOLDERS, modules

_FUNCTION_WORDS: Final = """
    about above across after again all along also among another any anything around at away before
    behind below beneath beside besides between beyond both by down during each either else enough
    ever every everything few fewer for from he her here him his how if into it its just least less
    like many me mine more most much my near neither nobody none nothing of off on once one ones
    only onto other others our out over own per same several she since so some somebody someone
    something still such than that their them then there these they this those through to together
    too towards twice under unless until up upon us very via we what when where whether which while
    who whom whose why with within without yet you your
"""
_IRREGULAR_PARTICIPLES: Final = """
    beaten become begun bent bitten bought bound broken brought built caught chosen come done drawn
    driven eaten fallen felt forgotten fought found given gone gotten grown heard held hidden kept
    known laid led left lent lost made meant met paid put ridden risen said seen sent shown sold
    spent spoken stolen stood stuck sworn taken taught thought thrown told torn understood won worn
    written
"""
FUNCTION_WORDS: Final = frozenset(_FUNCTION_WORDS.split())
IRREGULAR_PARTICIPLES: Final = frozenset(_IRREGULAR_PARTICIPLES.split())
NO_PARTICIPLES: Final = frozenset({"bed", "embed", "feed", "hundred", "need", "seed", "speed"})

OUTCOMES: Final = frozenset(
    {"accepted", "deleted", "loaded", "received", "recovered", "rejected", "stored", "truncated"}
)
"""Words of the public API for what happened to rows."""

ARGUMENTS: Final = frozenset({"after", "before", "per", "where"})
"""Arguments of the GraphQL API, which have the same name wherever they are passed on."""

MEMBERS: Final = frozenset(
    {"all", "between", "degraded", "from", "left", "like", "mixed", "none", "performed", "to"}
)
"""Fields and enum values of the GraphQL API."""

TESTING: Final = frozenset({"expected"})
"""The usual word of tests for the right answer."""

ALLOWED_WORDS: Final = OUTCOMES | ARGUMENTS | MEMBERS | TESTING


def is_bare_word(name: str) -> bool:
    """Say whether a name is one function word or one participle, and nothing else."""
    if name.startswith("__"):
        return False  # a name of Python
    word = name.strip("_")
    if not word.isupper() and word != word.lower() and word != word.capitalize():
        return False  # several words: CamelCase
    word = word.lower()
    if word in ALLOWED_WORDS or "_" in word:
        return False
    is_participle = word.endswith("ed") and len(word) > 3 and word not in NO_PARTICIPLES
    return is_participle or word in FUNCTION_WORDS | IRREGULAR_PARTICIPLES


def declared_names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """List the names that a file declares, with their lines: functions, arguments, variables."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno


def bare_words(root: Path, folders: tuple[str, ...]) -> list[str]:
    """List the bare words among the names of some folders, each with its place."""
    return [
        f"{file}:{line}: {name}"
        for file, tree in modules(root, folders)
        for name, line in declared_names(tree)
        if is_bare_word(name)
    ]


def test_names_are_no_bare_function_words() -> None:
    """No name is a bare preposition, pronoun or participle."""
    words = bare_words(ROOT, ALL_FOLDERS)
    assert not words, "\n".join(words)


@pytest.mark.parametrize(
    "code",
    [
        "of = 1",
        "def asked(): ...",
        "def f(given): ...",
        "class Wanted: ...",
        "class C:\n    shown: int",
        "def f(self):\n    self._found = 1",
        "for each in []: ...",
        "[one for one in []]",
        "match 1:\n    case other: ...",
        "try: ...\nexcept OSError as caught: ...",
        "import json as given",
        "_MADE = 1",
    ],
)
def test_rule_finds_a_bare_word(tmp_path: Path, code: str) -> None:
    """Each way to declare a name is looked at."""
    (tmp_path / "planted.py").write_text(code)
    assert bare_words(tmp_path, ())


def test_rule_leaves_nouns_and_verbs_alone(tmp_path: Path) -> None:
    """Names of several words, nouns, and the words of the API pass."""
    (tmp_path / "planted.py").write_text(
        "def is_found(metric, stored, rows_of): ...\nclass MadeOf: ...\nseed = speed = 1\n"
    )
    assert bare_words(tmp_path, ()) == []
