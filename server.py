"""Runs the application: the command line, the port, the web server, the signals that end it."""

import argparse
import difflib
import errno
import ipaddress
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Final, NoReturn

import uvicorn
from fastapi import FastAPI

from api.logs import log_to_stderr
from settings import SETTINGS, VERSION, InvalidSettingError, Settings, from_environment

GRACE_SECONDS: Final = 8

_LOG: Final = logging.getLogger("analytics")
_REFUSED: Final = 3
"""The exit code of a service that could not start, as uvicorn's own."""

_EPILOG: Final = """\
An option wins over its environment variable. Exit codes: 0 stopped, 2 a setting
or an option is wrong, 3 it can't start (the port, the data folder). The README
has more: how to record, how to ask, what each setting does."""


class _Parser(argparse.ArgumentParser):
    """A parser that names the option that was probably meant."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options; exit with code 2 when one is unknown or has no value."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(f"unknown option {unknown[0]}{self._hint(unknown[0])}")
        return options

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and exit."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")

    def _hint(self, unknown: str) -> str:
        name = unknown.partition("=")[0]
        if name == "--workers":
            return ": this service runs as one process, whose queries use all cores"
        if setting := next((each for each in SETTINGS if each.variable == name), None):
            return f": did you mean {setting.option}?"
        near = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f": did you mean {near[0]}?" if near else ""


def _parser() -> _Parser:
    parser = _Parser(
        prog="analytics-service",
        description="Record metrics and events; ask for them over REST or GraphQL.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    for setting in SETTINGS:
        parser.add_argument(
            setting.option,
            dest=setting.field,
            metavar="VALUE",
            default="",
            help=f"{setting.help} [{setting.variable}; default: {setting.default}]",
        )
    parser.add_argument("--reload", action="store_true", help="restart when the code changes")
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    return parser


class _Server(uvicorn.Server):
    """A server that ends in order, and with exit code 0, when it is told to.

    npm passes on the SIGINT that the terminal has already sent to the whole group; uvicorn would
    take the second one as impatience and skip the orderly end. It would also raise the signal
    again after that end, so that a supervisor saw a process that was killed.
    """

    _asked = 0.0
    interrupted = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin to stop; make it quick when asked again after a second."""
        if not self.should_exit:
            self._asked = time.monotonic()
            self.should_exit = True
            self.interrupted = sig == signal.SIGINT
        elif sig == signal.SIGINT and time.monotonic() - self._asked > 1:
            self.force_exit = True


def main(arguments: Sequence[str], create_app: Callable[[Settings], FastAPI]) -> int:
    """Serve until told to stop; `--reload` restarts on every change of the code."""
    options = vars(_parser().read(arguments))
    reload = options.pop("reload")
    log_to_stderr("analytics", "uvicorn")
    try:
        settings = from_environment(options=options)
    except InvalidSettingError as error:
        _LOG.critical("%s", error)
        return 2
    if refusal := _refusal(settings):
        _LOG.critical("%s", refusal)
        return _REFUSED
    if not _is_loopback(settings.host):
        _LOG.warning(
            "listening on %s: anyone who reaches this address can read and write", settings.host
        )
    _pass_on(options)
    config = uvicorn.Config(
        "app:app" if reload else create_app(settings),
        host=settings.host,
        port=settings.port,
        log_config=None,
        access_log=False,
        reload=reload,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=settings.keep_alive,
        server_header=False,
        proxy_headers=False,  # nothing here depends on the client's address
    )
    return _serve(config, settings)


def _serve(config: uvicorn.Config, settings: Settings) -> int:
    server = _Server(config)
    try:
        if config.reload:
            from uvicorn.supervisors import ChangeReload  # noqa: PLC0415 - only development has it

            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        else:
            server.run()
    except KeyboardInterrupt:
        pass
    if not config.reload and not server.started:
        return _REFUSED
    if config.reload or server.interrupted:
        _confirm_stop(settings)
    return 0


def _pass_on(options: dict[str, str]) -> None:
    """Put options where the processes that `--reload` starts find them."""
    for setting in SETTINGS:
        if text := options[setting.field]:
            os.environ[setting.variable] = text


def _refusal(settings: Settings) -> str | None:
    """Say why the address can't be listened on, before anything else is opened; None if it can."""
    host, port = settings.host, settings.port
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"HOST {host!r} is no address of this machine; set HOST or --host"
    failed = [error for error in map(_try, addresses) if error]
    for error in failed:
        if error.errno == errno.EADDRINUSE:
            return (
                f"Port {port} is in use on {host} (address already in use); set PORT or --port,"
                " or stop what listens there"
            )
        if error.errno == errno.EACCES:
            return f"Port {port} is not allowed for this user; set PORT or --port (1024 or more)"
    if len(failed) == len(addresses):
        return f"HOST {host!r} can't be listened on ({failed[0].strerror}); set HOST or --host"
    return None


def _try(address: tuple[int, int, int, str, tuple[object, ...]]) -> OSError | None:
    family, kind, protocol, _, place = address
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(place)
    except OSError as error:
        return error
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _confirm_stop(settings: Settings) -> None:
    """Tell who pressed Ctrl+C that the port is free, after looking."""
    state = "still in use" if _refusal(settings) else "free"
    sys.stderr.write(f"Stopped. Port {settings.port} is {state}.\n")
