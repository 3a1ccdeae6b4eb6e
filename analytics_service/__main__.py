"""The command `analytics-service`, and `python -m analytics_service`."""

import sys
from pathlib import Path


def run() -> None:
    """Run the service with the modules of this folder, before installed modules of their names."""
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    import app  # noqa: PLC0415 - found by the line above

    app.run()


if __name__ == "__main__":
    run()
