"""Every setting, read once from the environment and passed on as one value."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class InvalidSettingError(ValueError):
    """A setting that the service can't start with; the message names the variable."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The service's configuration; field comments name the environment variable."""

    port: int = 3011  # PORT
    host: str = "127.0.0.1"  # HOST
    root_path: str = ""  # ROOT_PATH: what a proxy puts before our paths, "/analytics" for example
    data: Path = Path("data")  # ANALYTICS_DATA: journal, lock, and the store unless it is elsewhere
    store: Path = Path("data/store")  # ANALYTICS_STORE: chdb:///path, or chdb:// for one under data
    production: bool = False  # ANALYTICS_ENV=production (or development)
    cors_origins: tuple[str, ...] = ()  # ANALYTICS_CORS_ORIGINS, comma-separated
    journal_bytes: int = 2**30  # acknowledged bytes that may wait for the engine

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins that CORS admits: any in development, the configured ones in production."""
        return self.cors_origins if self.production else ("*",)


def from_environment(env: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings; raise `InvalidSettingError` that names the variable and what it takes."""
    port = env.get("PORT", "3011")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 2**16):
        raise InvalidSettingError(f"PORT must be a number from 1 to 65535, not {port!r}")
    environment = env.get("ANALYTICS_ENV", "development")
    if environment not in {"development", "production"}:
        raise InvalidSettingError(
            f"ANALYTICS_ENV must be development or production, not {environment!r}"
        )
    root_path = env.get("ROOT_PATH", "").rstrip("/")
    if root_path and not re.fullmatch(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)+", root_path):
        raise InvalidSettingError(
            f"ROOT_PATH must be a path of plain segments like /analytics, not {root_path!r}"
        )
    data = Path(env.get("ANALYTICS_DATA") or "data")
    origins = (origin.strip() for origin in env.get("ANALYTICS_CORS_ORIGINS", "").split(","))
    return Settings(
        port=int(port),
        host=env.get("HOST") or "127.0.0.1",
        root_path=root_path,
        data=data,
        store=_store_folder(env.get("ANALYTICS_STORE") or "chdb://", data),
        production=environment == "production",
        cors_origins=tuple(filter(None, origins)),
    )


def _store_folder(dsn: str, data: Path) -> Path:
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme != "chdb":
        raise InvalidSettingError(
            "ANALYTICS_STORE must be chdb:// or chdb:///path (the embedded engine);"
            f" this version has no other, not {scheme!r}"
        )
    return Path(rest) if rest else data / "store"
