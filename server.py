"""The command `analytics-service`: options, checks of the port, the web server, its signals."""

import argparse
import difflib
import errno
import functools
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

import access_commands
import dashboard_commands
import demo_command
import document_commands
from api.edge.connections import Connections, connection_capacity, raise_file_limit
from api.edge.limits import EdgeLimits
from api.edge.protocol import Protocol
from api.logs import log_to_stderr
from settings import SETTINGS, VERSION, InvalidSettingError, Settings, from_environment
from store.access.locked_file import UnusableFileError
from store.access.registry import RegistryFile
from store.clock import wall_ms

GRACE_SECONDS: Final = 8
"""Seconds that open requests have to finish after a signal to stop."""

_TICKS_PER_SECOND: Final = 10
"""Ticks of uvicorn's main loop."""

_LOG: Final = logging.getLogger("analytics")
_START_FAILED: Final = 3
"""Exit code of a service that could not start, the same as uvicorn's."""

_COMMANDS: Final[Sequence[tuple[Sequence[str], Callable[[Sequence[str]], int]]]] = (
    (access_commands.NOUNS, access_commands.main),
    (document_commands.NOUNS, document_commands.main),
    (dashboard_commands.NOUNS, dashboard_commands.main),
)
"""The first words of commands besides the service itself, and the functions that run them."""

_EPILOG: Final = """\
An option overrides its environment variable. Exit codes: 0 stopped, 2 a setting
or an option is wrong, 3 the service can't start (the port, the data folder).
The README describes recording, queries and each setting. `analytics-service keys --help` is about
keys, which production needs, `analytics-service documents --help` about trusted documents, and
`analytics-service dashboards --help` about dashboards. `analytics-service demo` serves
30 days of a shop that does not exist."""


class _Parser(argparse.ArgumentParser):
    """Parser that suggests the nearest option for an unknown one."""

    def read(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Return the options. Exits with code 2 if one is unknown or has no value."""
        options, unknown = self.parse_known_args(arguments)
        if unknown:
            self.error(f"unknown option {unknown[0]}{self._hint(unknown[0])}")
        return options

    def error(self, message: str) -> NoReturn:
        """Print the error as one line, and exit with code 2."""
        self.exit(2, f"{self.prog}: {message} (see --help)\n")

    def _hint(self, unknown: str) -> str:
        name = unknown.partition("=")[0]
        if name == "--workers":
            return ": this service runs as one process, whose queries use all cores"
        if setting := next((entry for entry in SETTINGS if entry.variable == name), None):
            return f": did you mean {setting.option}?"
        matches = difflib.get_close_matches(name, self._option_string_actions, 1)
        return f": did you mean {matches[0]}?" if matches else ""


def _parser() -> _Parser:
    parser = _Parser(
        prog="analytics-service",
        description="Record metrics and events, and query them over REST or GraphQL.",
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
    """Server that stops in order and with exit code 0 at SIGINT or SIGTERM.

    npm repeats the SIGINT that the terminal has sent to the whole group. uvicorn would take the
    second signal as a demand to skip the orderly stop. It would also raise the signal again after
    the stop, and a supervisor would see a killed process.
    """

    _signal_time = 0.0
    is_interrupted = False

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        when_listening: Callable[[], None] | None = None,
    ) -> None:
        """Make a server whose connections share limits. It calls a function once it listens."""
        super().__init__(config)
        self.server_state = self._connections = connections
        self._when_listening = when_listening

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the store and listen."""
        await super().startup(sockets)
        if self.started and self._when_listening:
            self._when_listening()

    async def on_tick(self, counter: int) -> bool:
        """Look at all connections once a second; say whether to stop."""
        if counter % _TICKS_PER_SECOND == 0:
            self._connections.tick()
        return await super().on_tick(counter)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002 - uvicorn's
        """Begin an orderly stop; a SIGINT more than 1 s later forces the stop."""
        if not self.should_exit:
            self._signal_time = time.monotonic()
            self.should_exit = True
            self.is_interrupted = sig == signal.SIGINT
        elif sig == signal.SIGINT and time.monotonic() - self._signal_time > 1:
            self.force_exit = True


def main(arguments: Sequence[str], create_app: Callable[[Settings], FastAPI]) -> int:
    """Run one command, by default the service, and return the exit code."""
    if arguments and arguments[0] == demo_command.NOUN:
        serve = functools.partial(_serve_until_signal, create_app)
        return demo_command.main(arguments[1:], serve)
    for nouns, run_command in _COMMANDS:
        if arguments and arguments[0] in nouns:
            return run_command(arguments)
    return _serve_until_signal(create_app, arguments)


def _serve_until_signal(
    create_app: Callable[[Settings], FastAPI],
    arguments: Sequence[str],
    when_listening: Callable[[], None] | None = None,
) -> int:
    """Serve until a signal, and return the exit code. `--reload` restarts at each code change."""
    options = vars(_parser().read(arguments))
    reload = options.pop("reload")
    log_to_stderr("analytics", "uvicorn")
    try:
        settings = from_environment(options=options)
        app = create_app(settings)
    except InvalidSettingError as error:
        _LOG.critical("%s", error)
        return 2
    if problem := _address_problem(settings):
        _LOG.critical("%s", problem)
        return _START_FAILED
    if problem := _missing_key(settings):
        _LOG.critical("%s", problem)
        return _START_FAILED
    if not (settings.production or _is_loopback(settings.host)):
        _LOG.warning(
            "listening on %s: anyone who reaches this address can read and write", settings.host
        )
    _export(options)
    config = uvicorn.Config(
        "app:app" if reload else app,
        host=settings.host,
        port=settings.port,
        http=Protocol,
        ws="none",  # `Protocol` upgrades connections
        log_config=None,
        access_log=False,
        reload=reload,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=settings.keep_alive,
        server_header=False,
        proxy_headers=False,  # `Clients` reads them where a limit needs the address of a client
    )
    raise_file_limit()
    limits = EdgeLimits.from_settings(settings.limits)
    per_address = settings.connections_per_address
    capacity = connection_capacity(limits)
    connections = Connections(limits, per_address, capacity, settings.proxies)
    return _serve(_Server(config, connections, when_listening), settings)


def _serve(server: _Server, settings: Settings) -> int:
    config = server.config
    try:
        if config.reload:
            from uvicorn.supervisors import ChangeReload  # noqa: PLC0415 - imported in development only

            ChangeReload(config, target=server.run, sockets=[config.bind_socket()]).run()
        else:
            server.run()
    except KeyboardInterrupt:
        pass
    if not config.reload and not server.started:
        return _START_FAILED
    if config.reload or server.is_interrupted:
        _confirm_stop(settings)
    return 0


def _export(options: dict[str, str]) -> None:
    """Set the environment variables of the options, for the processes that `--reload` starts."""
    for setting in SETTINGS:
        if text := options[setting.field]:
            os.environ[setting.variable] = text


def _address_problem(settings: Settings) -> str | None:
    """Return why the service can't listen on its address; None if it can."""
    host, port = settings.host, settings.port
    try:
        addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return f"HOST {host!r} is no address of this machine; set HOST or --host"
    errors = [error for error in map(_bind_error, addresses) if error]
    for error in errors:
        if error.errno == errno.EADDRINUSE:
            return (
                f"Port {port} is in use on {host} (address already in use); set PORT or --port,"
                " or stop what listens there"
            )
        if error.errno == errno.EACCES:
            return f"Port {port} is not allowed for this user; set PORT or --port (1024 or more)"
    if len(errors) == len(addresses):
        return f"HOST {host!r} can't be listened on ({errors[0].strerror}); set HOST or --host"
    return None


def _bind_error(address: tuple[int, int, int, str, tuple[object, ...]]) -> OSError | None:
    family, kind, protocol, _, socket_address = address
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(socket_address)
    except OSError as error:
        return error
    return None


def _missing_key(settings: Settings) -> str | None:
    """Return why the service must not listen: strangers could reach it, and no key exists."""
    if not settings.production or _is_loopback(settings.host):
        return None
    try:
        keys = RegistryFile(settings.data).read().keys
    except UnusableFileError as error:
        return str(error)
    if any(key.is_usable(wall_ms()) for key in keys):
        return None
    hint = access_commands.first_key_hint(settings.data)
    return f"No key exists, so nobody could use {settings.host}. {hint}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _confirm_stop(settings: Settings) -> None:
    """Print whether the port is free after Ctrl+C, from a check of the port."""
    state = "still in use" if _address_problem(settings) else "free"
    sys.stderr.write(f"Stopped. Port {settings.port} is {state}.\n")
