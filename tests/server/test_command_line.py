"""The command line, and errors at the start: each is one line with its remedy."""

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

import server
from app import create_app
from settings import SETTINGS, VERSION, InvalidSettingError, Settings, from_environment
from tests.faults.disks import mount_in_memory
from tests.harness.process import ROOT, SERVE, Process, free_port

# PR_CAPBSET_DROP (24) takes CAP_NET_BIND_SERVICE (10) from the program that this one starts.
WITHOUT_PORTS = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(24, 10, 0, 0, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


def error_line(process: Process) -> str:
    """Return the error that ended a process; fail unless it is one line without a traceback."""
    assert process.wait() == 3, process.output()
    assert "Traceback" not in process.output()
    reasons = [
        line["message"] for line in process.log_records() if line["level"] in {"error", "critical"}
    ]
    assert reasons[1:] in ([], ["Application startup failed. Exiting."]), reasons
    assert "\n" not in reasons[0]
    return str(reasons[0])


def test_help_names_every_setting(capfd: pytest.CaptureFixture[str]) -> None:
    """`--help` prints each option with its variable and default on stdout, and exits with 0."""
    with pytest.raises(SystemExit) as exit_info:
        server.main(["--help"], create_app)
    output = capfd.readouterr()
    assert (exit_info.value.code, output.err) == (0, "")
    text = " ".join(output.out.split())
    for setting in SETTINGS:
        assert f"{setting.option} VALUE" in text
        assert f"[{setting.variable}; default: {setting.default}]" in text


def test_version_is_declared_once() -> None:
    """`--version` prints the version, which no other file repeats."""
    result = subprocess.run(
        [*SERVE, "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (result.returncode, result.stdout) == (0, f"analytics-service {VERSION}\n")
    for file in ("pyproject.toml", "package.json", "app.py", "server.py"):
        assert VERSION not in (ROOT / file).read_text(), file


@pytest.mark.parametrize(
    ("argument", "hint"),
    [
        ("--prot=1", "unknown option --prot=1: did you mean --port? (see --help)"),
        ("PORT", "unknown option PORT: did you mean --port? (see --help)"),
        ("--workers=2", "unknown option --workers=2: this service runs as one process"),
        ("serve", "unknown option serve (see --help)"),
        ("--po=1", "unknown option --po=1: did you mean --port?"),
        ("--port", "argument --port: expected one argument (see --help)"),
        ("--reload=yes", "argument --reload: ignored explicit argument 'yes' (see --help)"),
    ],
)
def test_unknown_options_are_refused(
    argument: str, hint: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """An unknown option ends the start with 2 and one line that suggests a similar option."""
    with pytest.raises(SystemExit) as exit_info:
        server.main([argument], create_app)
    output = capfd.readouterr()
    assert (exit_info.value.code, output.out) == (2, "")
    (line,) = output.err.splitlines()
    assert line.startswith(f"analytics-service: {hint}")


def test_invalid_option_is_named_as_it_was_given(tmp_path: Path) -> None:
    """The error of an invalid value names the option if the value came from it."""
    with Process(tmp_path / "data", options=("--port", "x")) as service:
        assert service.wait() == 2
        assert "--port must be a number from 1 to 65535, not 'x'" in service.output()


def test_options_win_over_the_environment(tmp_path: Path) -> None:
    """`--port`, `--host`, `--data` and `--root-path` override their variables."""
    port = free_port()
    data = tmp_path / "here"
    options = ("--port", str(port), "--host=127.0.0.1", "--data", str(data), "--root-path", "/a")
    wrong = {"PORT": "1", "HOST": "192.0.2.1", "ANALYTICS_DATA": "/proc/none", "ROOT_PATH": "/b"}
    with Process(data, options=options, port=port, settings=wrong) as service:
        service.await_ready()
        assert service.post("/a/metrics", {"metric_name": "m", "value": 1}).status_code == 200
        assert (data / "store").is_dir()
        assert service.stop() == 0


def test_options_reach_the_process_that_reload_starts(tmp_path: Path) -> None:
    """`--reload` serves with the same options."""
    data = tmp_path / "here"
    command = (*SERVE, "--reload", "--data", str(data))
    with Process(tmp_path / "elsewhere", command) as service:
        service.await_ready()
        assert (data / "store").is_dir()
        assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.variable)
def test_empty_variable_counts_as_none(setting: object) -> None:
    """An empty variable gives the default: many tools pass `PORT=` for an unset variable."""
    assert from_environment({getattr(setting, "variable", ""): ""}) == Settings()


def test_defaults_are_those_of_the_help() -> None:
    """The default in the help text parses to the default of the setting."""
    for setting in SETTINGS:
        if setting.default != "none":
            result = from_environment({setting.variable: setting.default})
            assert result == Settings()
    with pytest.raises(InvalidSettingError, match="--env must be development or production"):
        from_environment({"ANALYTICS_ENV": "production"}, {"production": "x"})


@pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid", "1.2.3", "::ffff"])
def test_host_that_cant_be_listened_on(tmp_path: Path, host: str) -> None:
    """The error of a foreign or invalid address names HOST; the store is not touched."""
    with Process(tmp_path / "data", settings={"HOST": host}) as service:
        assert re.match(r"HOST '.+' .* set HOST or --host", error_line(service))
        assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::1"])  # noqa: S104 - tested
def test_port_in_use_names_the_port(tmp_path: Path, host: str) -> None:
    """The error of a port in use names the port and the address, on any kind of address."""
    family = socket.AF_INET6 if host == "::1" else socket.AF_INET
    with socket.socket(family) as owner:
        try:
            owner.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        owner.listen()
        port = owner.getsockname()[1]
        with Process(tmp_path / "data", port=port, settings={"HOST": host}) as service:
            line = error_line(service)
            assert line.startswith(f"Port {port} is in use on {host} (address already in use)")
            assert "set PORT or --port" in line


@pytest.mark.skipif(os.getuid() != 0, reason="only root can drop a capability")
def test_port_that_is_not_allowed(tmp_path: Path) -> None:
    """The error of a port below 1024 without the right for it names PORT."""
    floor = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
    if not floor.exists() or int(floor.read_text()) <= 80:
        pytest.skip("every user may have port 80 here")
    with Process(
        tmp_path / "data", (sys.executable, "-c", WITHOUT_PORTS, *SERVE), port=80
    ) as service:
        assert "Port 80 is not allowed for this user; set PORT or --port" in error_line(service)


def test_data_folder_that_is_a_file(tmp_path: Path) -> None:
    """The error of a data folder that is a file names it, the reason and ANALYTICS_DATA."""
    data = tmp_path / "data"
    data.write_text("")
    for folder in (data, data / "below"):
        with Process(tmp_path / "log", settings={"ANALYTICS_DATA": str(folder)}) as service:
            line = error_line(service)
            assert line.startswith(f"The data folder {folder} can't be used (")
            assert "ANALYTICS_DATA must name a folder that this user can write to" in line
        (tmp_path / "log.log").unlink()


def test_data_folder_that_cant_be_written(tmp_path: Path) -> None:
    """The error of a read-only data folder, or store folder, is one line that names it."""
    for settings in (
        {"ANALYTICS_DATA": "/proc/analytics"},
        {"ANALYTICS_STORE": "chdb:///proc/analytics/store"},
    ):
        with Process(tmp_path / "data", settings=settings) as service:
            line = error_line(service)
            assert "can't be used" in line
            assert "/proc/analytics" in line
        (tmp_path / "data.log").unlink()


@pytest.mark.parametrize("size", ["4k", "64k", "200k"])
def test_full_disk_at_the_start(tmp_path: Path, size: str) -> None:
    """The error of a full disk is one line that names ANALYTICS_DATA, at any step of the start."""
    with mount_in_memory(tmp_path / "disk", size):
        data = tmp_path / "disk" / "data"
        with Process(tmp_path / "log", settings={"ANALYTICS_DATA": str(data)}) as service:
            line = error_line(service)
            assert "No space left on device" in line or "is full. Free some space" in line
            assert "ANALYTICS_DATA" in line
            assert str(data) in line


def test_damaged_node_file_is_replaced(tmp_path: Path) -> None:
    """An unreadable node number is drawn anew: it need only differ from other folders' numbers."""
    data = tmp_path / "data"
    data.mkdir()
    (data / "node").write_bytes(b"\0\0\0")
    with Process(data) as service:
        service.await_ready()
        assert (data / "node").read_text().strip().isdigit()
        assert service.stop() == 0
