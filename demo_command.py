"""The command `analytics-service demo`: a service with the data of a shop, in its own folder."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from settings import InvalidSettingError, from_environment
from store.clock import wall_ms

NOUN: Final = "demo"
"""The first word of the command."""

_PROGRAM: Final = "analytics-service"
_WRONG_INPUT: Final = 2
_SEED: Final = 11
_ALL_ADDRESSES: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - compared, not listened on


def main(
    arguments: Sequence[str], serve: Callable[[Sequence[str], Callable[[], None]], int]
) -> int:
    """Serve the demo until a signal, and return the exit code.

    `serve` runs the service with options, and calls a function once it listens.
    """
    # The import takes 20 ms, which a service without a demo saves.
    from demo.folder import DemoFolder, UnusableFolderError  # noqa: PLC0415 - as above
    from demo.recorder import Recorder  # noqa: PLC0415 - as above

    options = _parser().parse_args(arguments)
    try:
        settings = from_environment(options={"port": options.port, "host": options.host})
        folder = DemoFolder(options.data)
        progress = folder.open(_SEED, wall_ms())
    except (InvalidSettingError, UnusableFolderError) as error:
        sys.stderr.write(f"{_PROGRAM}: {error}\n")
        return _WRONG_INPUT
    host = "127.0.0.1" if settings.host in _ALL_ADDRESSES else settings.host
    recorder = Recorder(folder, progress, host, settings.port)
    try:
        return serve(_service_options(options), recorder.start)
    finally:
        recorder.stop()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"{_PROGRAM} {NOUN}",
        description="Serve 30 days of a shop that does not exist, and new rows all the time.",
        allow_abbrev=False,
    )
    parser.add_argument("--port", default="", help="port to listen on [PORT; default: 3011]")
    parser.add_argument("--host", default="", help="address [HOST; default: 127.0.0.1]")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("data-demo"),
        metavar="FOLDER",
        help="folder of the demo alone; data older than 2 days are made anew [./data-demo]",
    )
    return parser


def _service_options(options: argparse.Namespace) -> list[str]:
    """Return the options of the service: data and store of the demo, and no need of a key."""
    fixed_options = ["--data", str(options.data), "--store", "chdb://", "--env", "development"]
    return [*fixed_options, "--port", options.port, "--host", options.host]
