"""The command `analytics-service`, and `python -m analytics_service`."""

import sys
from pathlib import Path


def run() -> None:
    """Serve with the modules of this folder, whatever else of their names is installed."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import app  # noqa: PLC0415 - found by the line above

    app.run()


if __name__ == "__main__":
    run()
