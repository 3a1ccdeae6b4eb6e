"""Settings of the service: read once from the command line and the environment, as one value."""

import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, TypeAlias
from urllib.parse import urlsplit

VERSION: Final = "0.1.0"

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NO_OPTIONS: Final[Mapping[str, str]] = MappingProxyType({})


class InvalidSettingError(ValueError):
    """A setting with which the service can't start. The message names its variable or option."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Configuration of the service. `SETTINGS` has the variable and the option of each field."""

    port: int = 3011
    host: str = "127.0.0.1"
    root_path: str = ""
    data: Path = Path("data")
    store: Path = Path("data/store")
    production: bool = False
    hosts: tuple[str, ...] = ()
    cors_origins: tuple[str, ...] = ()
    cors_credentials: bool = False
    trusted_documents_only: bool = False
    dashboards: Path | None = None
    openid_issuer: str = ""
    openid_client: str = ""
    openid_secret: str = field(default="", repr=False)
    keep_alive: int = 75
    connections_per_address: int = 1000
    proxies: tuple[Network, ...] = ()
    limits: Mapping[str, float] = field(default_factory=dict)
    journal_bytes: int = 2**30  # maximum bytes of acknowledged rows that wait for the engine

    @property
    def allowed_origins(self) -> tuple[str, ...]:
        """Origins that CORS admits: any in development, the configured origins in production."""
        return self.cors_origins if self.production else ("*",)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 2**16):
        raise ValueError(f"must be a number from 1 to 65535, not {text!r}")
    return int(text)


def _keep_alive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= 86_400):
        raise ValueError(f"must be seconds from 1 to 86400, not {text!r}")
    return int(text)


def _connections_per_address(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 9 and 0 < int(text) <= 1_000_000):
        raise ValueError(f"must be a number from 1 to 1000000, not {text!r}")
    return int(text)


def _root_path(text: str) -> str:
    path = text.rstrip("/")
    if path and not re.fullmatch(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)+", path):
        raise ValueError(f"must be a path of plain segments like /analytics, not {path!r}")
    return path


def _store(dsn: str) -> Path | None:
    """Return the folder of the engine; None means the folder `store` in the data folder."""
    scheme, separator, rest = dsn.partition("://")
    if not separator or scheme != "chdb":
        raise ValueError(
            "must be chdb:// or chdb:///path (the embedded engine);"
            f" this version has no other, not {scheme!r}"
        )
    return Path(rest) if rest else None


def _production(text: str) -> bool:
    if text not in {"development", "production"}:
        raise ValueError(f"must be development or production, not {text!r}")
    return text == "production"


def _origins(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (origin.strip() for origin in text.split(","))))


def _hosts(text: str) -> tuple[str, ...]:
    names = tuple(filter(None, (name.strip().lower() for name in text.split(","))))
    for name in names:
        if not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:]+", name):
            raise ValueError(f"must be names like app.example, without port, not {name!r}")
    return names


def _yes_or_no(text: str) -> bool:
    if text not in {"yes", "no"}:
        raise ValueError(f"must be yes or no, not {text!r}")
    return text == "yes"


def _proxies(text: str) -> tuple[Network, ...]:
    networks = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            networks.append(ipaddress.ip_network(part))
        except ValueError:
            message = f"must be addresses and networks like 10.0.0.0/8, not {part!r}"
            raise ValueError(message) from None
    return tuple(networks)


def _limits(text: str) -> Mapping[str, float]:
    limits = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        limit = re.fullmatch(r"([A-Za-z]+)=([0-9]{1,15}(?:\.[0-9]{1,6})?)", part)
        if not limit:
            raise ValueError(f"must be limits like requestSeconds=10, not {part!r}")
        limits[limit[1]] = float(limit[2])
    return limits


def _issuer(text: str) -> str:
    url = urlsplit(text)
    is_local = url.hostname in {"localhost", "127.0.0.1", "::1"}
    is_private = url.scheme == "https" or (url.scheme == "http" and is_local)
    if not url.hostname or not is_private or url.query or url.fragment or url.username:
        raise ValueError(f"must be an address like https://login.example, not {text!r}")
    return text


def _trusted_documents_only(text: str) -> bool:
    if text not in {"optional", "only"}:
        raise ValueError(f"must be optional or only, not {text!r}")
    return text == "only"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its field in `Settings`, its environment variable and its option.

    `parse` raises `ValueError` with the texts that it takes.
    """

    field: str
    variable: str
    option: str
    default: str
    parse: Callable[[str], Any]
    help: str


SETTINGS: Final = (
    Setting("port", "PORT", "--port", "3011", _port, "port to listen on"),
    Setting("host", "HOST", "--host", "127.0.0.1", str, "address to listen on"),
    Setting(
        "root_path",
        "ROOT_PATH",
        "--root-path",
        "none",
        _root_path,
        "prefix of all paths behind a proxy, like /analytics",
    ),
    Setting(
        "data",
        "ANALYTICS_DATA",
        "--data",
        "./data",
        Path,
        "folder of the journal, the lock, and the store; one process at a time",
    ),
    Setting(
        "store",
        "ANALYTICS_STORE",
        "--store",
        "chdb://",
        _store,
        "chdb:///path of the engine's folder; chdb:// is the folder store in the data folder",
    ),
    Setting(
        "production",
        "ANALYTICS_ENV",
        "--env",
        "development",
        _production,
        "development, or production: a key for each request, CORS for known origins only",
    ),
    Setting(
        "hosts",
        "ANALYTICS_HOSTS",
        "--hosts",
        "none",
        _hosts,
        "host names that are answered besides loopback ones, separated by commas",
    ),
    Setting(
        "cors_origins",
        "ANALYTICS_CORS_ORIGINS",
        "--cors-origins",
        "none",
        _origins,
        "origins that may call in production, separated by commas",
    ),
    Setting(
        "cors_credentials",
        "ANALYTICS_CORS_CREDENTIALS",
        "--cors-credentials",
        "no",
        _yes_or_no,
        "yes: pages of the configured origins may send cookies",
    ),
    Setting(
        "trusted_documents_only",
        "ANALYTICS_TRUSTED_DOCUMENTS",
        "--trusted-documents",
        "optional",
        _trusted_documents_only,
        "only: GraphQL requests without an admin key must name a trusted document",
    ),
    Setting(
        "dashboards",
        "ANALYTICS_DASHBOARDS",
        "--dashboards",
        "none",
        Path,
        "folder of dashboards as *.json files, which are read at the start and never written",
    ),
    Setting(
        "openid_issuer",
        "ANALYTICS_OPENID_ISSUER",
        "--openid-issuer",
        "none",
        _issuer,
        "provider of OpenID Connect with whom people sign in, like https://login.example",
    ),
    Setting(
        "openid_client",
        "ANALYTICS_OPENID_CLIENT",
        "--openid-client",
        "none",
        str,
        "id of this service at the provider",
    ),
    Setting(
        "openid_secret",
        "ANALYTICS_OPENID_SECRET",
        "--openid-secret",
        "none",
        str,
        "secret of this service at the provider; rather a variable: all processes see options",
    ),
    Setting(
        "keep_alive",
        "ANALYTICS_KEEP_ALIVE",
        "--keep-alive",
        "75",
        _keep_alive,
        "seconds that an idle connection is kept; more than a proxy keeps its own",
    ),
    Setting(
        "connections_per_address",
        "ANALYTICS_CONNECTIONS_PER_ADDRESS",
        "--connections-per-address",
        "1000",
        _connections_per_address,
        "connections of one address, or one IPv6 network; this machine has no limit",
    ),
    Setting(
        "proxies",
        "ANALYTICS_PROXIES",
        "--proxies",
        "none",
        _proxies,
        "addresses and networks of proxies, whose X-Forwarded-For is believed",
    ),
    Setting(
        "limits",
        "ANALYTICS_LIMITS",
        "--limits",
        "none",
        _limits,
        "limits like requestSeconds=10, separated by commas; docs/security.md lists them",
    ),
)
"""All settings. `default` is text for people; `Settings` has the value."""


def from_environment(
    env: Mapping[str, str] = os.environ, options: Mapping[str, str] = _NO_OPTIONS
) -> Settings:
    """Read the settings. Options have fields of `Settings` as keys, and override the environment.

    An empty text counts as absent. Raises `InvalidSettingError`, which names the variable or the
    option and the texts that it takes.
    """
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        text = options.get(setting.field) or env.get(setting.variable)
        if not text:
            continue
        try:
            values[setting.field] = setting.parse(text)
        except ValueError as error:
            name = setting.option if options.get(setting.field) else setting.variable
            raise InvalidSettingError(f"{name} {error}") from None
    if bool(values.get("openid_issuer")) != bool(values.get("openid_client")):
        raise InvalidSettingError(
            "ANALYTICS_OPENID_ISSUER and ANALYTICS_OPENID_CLIENT need one another"
        )
    data = values.get("data", Settings().data)
    values["store"] = values.get("store") or data / "store"
    return Settings(**values)
