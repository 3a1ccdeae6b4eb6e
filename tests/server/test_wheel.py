"""The wheel: its files, its installed service, other packages in the same environment."""

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Final

import pytest

from settings import VERSION
from tests.harness.environment import Environment
from tests.harness.process import ROOT, Process

BROWSER: Final = {"accept": "text/html"}
OWN_PACKAGE: Final = "analytics-service"
NAMESAKES: Final = ("schema", "web-py")
LOCK: Final = ROOT / "tests" / "server" / "namesakes.lock"
FOLDERS: Final = (
    "analytics_service",
    "api",
    "demo",
    "resolvers",
    "schema",
    "store",
    "web/dist",
    "web/pages",
)

# A program of another package's user.
_NAMESAKES_PROGRAM: Final = """
import importlib.util, sys
import analytics_service, schema
assert schema.Schema(int).validate(1) == 1
assert importlib.util.find_spec("web").origin
assert not importlib.util.find_spec("store")
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the source distribution, then the wheel from it."""
    folder = tmp_path_factory.mktemp("wheel")
    build = ("hatchling", "build", "-t", "sdist", "-d", str(folder))
    subprocess.run((sys.executable, "-m", *build), cwd=ROOT, check=True)
    (source,) = folder.glob("*.tar.gz")
    build = ("pip", "-q", "wheel", "--no-deps", "--no-index", "--no-build-isolation")
    subprocess.run((sys.executable, "-m", *build, "-w", str(folder), str(source)), check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def namesakes(pytestconfig: pytest.Config) -> list[Path]:
    """Return the wheels of packages with modules of our names; download them from PyPI once."""
    assert pytestconfig.cache
    digest = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    folder = pytestconfig.cache.mkdir(f"namesakes-{digest[:12]}")
    if len(list(folder.iterdir())) < len(NAMESAKES):
        fetch = ("pip", "-q", "download", "--no-deps", "--only-binary", ":all:")
        lock_options = ("--require-hashes", "-r", str(LOCK), "-d", str(folder))
        subprocess.run((sys.executable, "-m", *fetch, *lock_options), check=True)
    return list(folder.iterdir())


@pytest.fixture(scope="module")
def environment(
    wheel: Path, namesakes: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Environment:
    """Install the wheel and its namesakes."""
    environment = Environment.create(tmp_path_factory.mktemp("environment") / "all")
    packages = map(str, (wheel, *namesakes))
    environment.pip("install", "--no-deps", "--no-index", "--no-compile", *packages)
    return environment


def test_wheel_is_one_package(wheel: Path) -> None:
    """The wheel has the service's files, byte for byte, in one folder, and its metadata."""
    files = list(ROOT.glob("*.py"))
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    expected = {
        f"analytics_service/{str(path.relative_to(ROOT)).removeprefix('analytics_service/')}": path
        for path in files
        if path.suffix != ".pyc"
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        assert names == set(expected)
        assert all(archive.read(name) == expected[name].read_bytes() for name in names)


def test_installed_service_has_everything(environment: Environment, tmp_path: Path) -> None:
    """A service installed next to its namesakes records, answers, and has its pages.

    With `--reload` both processes of the service find its modules: the parent, and the child that
    the parent restarts on each change.
    """
    command = (environment.command("analytics-service"), "--reload")
    with Process(tmp_path / "data", command, folder=tmp_path) as service:
        service.await_ready()
        assert service.post("/metrics", {"metric_name": "m", "value": 2}).status_code == 200
        assert service.http.get("/metrics/m").json()["sum"] == 2
        for path in ("/", "/graphql", "/docs", "/redoc"):
            assert service.http.get(path, headers=BROWSER).status_code == 200, path
        assert service.http.get("/static/swagger/swagger-ui.css").status_code == 200
        assert service.stop() == 0


def test_package_runs_as_a_module(environment: Environment) -> None:
    """`python -m analytics_service` is the command `analytics-service`."""
    output = environment.python("-m", "analytics_service", "--version")
    assert output == f"analytics-service {VERSION}\n"


def test_others_keep_their_modules(environment: Environment) -> None:
    """A program in the same environment imports the others' modules, and none of ours."""
    environment.python("-c", _NAMESAKES_PROGRAM)


@pytest.mark.parametrize(
    ("removed_packages", "kept_packages"),
    [((OWN_PACKAGE,), NAMESAKES), (NAMESAKES, (OWN_PACKAGE,))],
    ids=["ours", "theirs"],
)
def test_uninstalling_leaves_the_others_whole(
    environment: Environment,
    tmp_path: Path,
    removed_packages: tuple[str, ...],
    kept_packages: tuple[str, ...],
) -> None:
    """Uninstalling removes a package's files, and no file of the other packages."""
    copy = environment.copy(tmp_path / "copy")
    assert copy.damaged_files([*removed_packages, *kept_packages]) == []
    files = [path for name in removed_packages for path in copy.records()[name]]
    copy.pip("uninstall", "-y", *removed_packages)
    assert copy.damaged_files(kept_packages) == []
    assert [path for path in files if path.exists()] == []
