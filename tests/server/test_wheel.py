"""The wheel: what `pip install` of it gives."""

import subprocess
import sys
from pathlib import Path

from tests.harness.process import Process

BROWSER = {"accept": "text/html"}


def test_installed_service_has_everything(tmp_path: Path) -> None:
    """A service that was installed from the wheel records, answers, and has its pages."""
    wheels, site = tmp_path / "wheels", tmp_path / "site"
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "-q")
    build = ("wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(wheels), ".")
    subprocess.run((*pip, *build), check=True)
    (wheel,) = wheels.glob("*.whl")
    install = ("install", "--no-deps", "--no-index", "--target", str(site), str(wheel))
    subprocess.run((*pip, *install), check=True)
    assert not (site / "tests").exists()
    settings = {"PYTHONPATH": str(site)}
    command = (sys.executable, str(site / "bin" / "analytics-service"))
    with Process(tmp_path / "data", command, folder=tmp_path, settings=settings) as service:
        service.await_ready()
        assert service.post("/metrics", {"metric_name": "m", "value": 2}).status_code == 200
        assert service.http.get("/metrics/m").json()["sum"] == 2
        for path in ("/", "/graphql", "/docs", "/redoc"):
            assert service.http.get(path, headers=BROWSER).status_code == 200, path
        assert service.http.get("/static/swagger/swagger-ui.css").status_code == 200
        assert service.stop() == 0
