"""The table of limits: how large a GraphQL request may be, and how large its error messages.

Each limit is declared here with its default, and documented in `docs/security.md`. `LimitTable` has
the values of a service.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import Field, dataclass, fields, replace
from types import MappingProxyType
from typing import Any, Final

from strawberry.utils.str_converters import to_camel_case


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit: its name in errors and in the documentation, its value, and what is counted.

    A limit that `is_fixed` can't be set.
    """

    name: str
    value: int
    unit: str
    description: str
    is_fixed: bool = False


def limit_table(limits: Any) -> list[Limit]:  # noqa: ANN401 - any dataclass of limits
    """Return the fields of a dataclass, whose metadata have unit and description, as limits."""
    return [
        Limit(
            name,
            getattr(limits, entry.name),
            entry.metadata["unit"],
            entry.metadata["description"],
        )
        for name, entry in limit_fields(limits).items()
    ]


def limit_fields(limits: Any) -> dict[str, Field[Any]]:  # noqa: ANN401 - any dataclass of limits
    """Return the fields of a dataclass by the names of their limits."""
    return {to_camel_case(entry.name): entry for entry in fields(limits)}


def replaced_fields(limits: Any, settings: Mapping[str, float]) -> dict[str, Any]:  # noqa: ANN401 - any dataclass of limits
    """Return the values of the limits that settings name, by field.

    Raises `ValueError` for a value that the limit can't have.
    """
    replaced_values: dict[str, Any] = {}
    for name, entry in limit_fields(limits).items():
        if name not in settings:
            continue
        value = settings[name]
        if not value and not entry.metadata.get("zero"):
            raise ValueError(f"needs more than 0 for {name}")
        replaced_values[entry.name] = _whole_number(name, value) if entry.type is int else value
    return replaced_values


def _whole_number(name: str, value: float) -> int:
    if value != int(value):
        raise ValueError(f"needs a whole number for {name}")
    return int(value)


def check_names(settings: Iterable[str], *limits: Any) -> None:  # noqa: ANN401 - dataclasses of limits
    """Raise `ValueError` if settings name a limit that neither a dataclass nor this table has."""
    names = [name for fields_of_class in map(limit_fields, limits) for name in fields_of_class]
    names += [limit.name for limit in _ALL_LIMITS if not limit.is_fixed]
    for name in settings:
        if name not in names:
            raise ValueError(f"has no limit {name!r}; there are {', '.join(names)}")


DOCUMENT_BYTES: Final = Limit("documentBytes", 100_000, "bytes", "Length of a document in UTF-8.")
DOCUMENT_TOKENS: Final = Limit(
    "documentTokens", 4_000, "tokens", "Names, values, marks and comments of a document."
)
DOCUMENT_DEPTH: Final = Limit(
    "documentDepth",
    200,
    "levels",
    "Braces and brackets in one another, through fragments.",
    is_fixed=True,  # the parser recurses
)
OPERATIONS: Final = Limit("operations", 50, "operations", "Operations of a document.")
FRAGMENTS: Final = Limit("fragments", 100, "fragments", "Fragment definitions of a document.")
ALIASES: Final = Limit("aliases", 1_000, "aliases", "Aliases as written, in a document.")
ALIAS_CHARACTERS: Final = Limit("aliasCharacters", 200, "characters", "Length of an alias.")
DIRECTIVES: Final = Limit("directives", 200, "directives", "Directives as written, in a document.")
INPUT_FIELDS: Final = Limit(
    "inputFields",
    1_000,
    "input fields",
    "Fields of objects in a document, again wherever a fragment or a default value is used.",
)
ARGUMENT_VALUES: Final = Limit(
    "argumentValues",
    25_000,
    "values in arguments",
    "Values in arguments, in a document and its variables, again wherever a field uses them.",
)
ARGUMENT_OBJECTS: Final = Limit(
    "argumentObjects",
    5_000,
    "objects in arguments",
    "Objects in arguments, again for each field of each object of a list that is executed.",
)
ROOT_FIELDS: Final = Limit(
    "rootFields", 100, "root fields", "Fields at the root of an operation, through fragments."
)
SELECTIONS: Final = Limit(
    "selections",
    5_000,
    "selections",
    "Fields, fragments and spreads of all operations, with each fragment again wherever it is"
    " spread.",
)
EQUAL_FIELDS: Final = Limit(
    "equalFields",
    100,
    "fields with one key",
    "Fields of one selection set with the same response key, through fragments.",
)
COMPARISONS: Final = Limit(
    "comparisons",
    20_000,
    "comparisons",
    "Work to compare fields with the same response key; two fields take two.",
)
INTROSPECTION_ROOTS: Final = Limit(
    "introspectionRoots", 3, "introspection roots", "`__schema` and `__type` in an operation."
)
INTROSPECTION_ALIASES: Final = Limit(
    "introspectionAliases",
    10,
    "aliases in an introspection",
    "Aliases below `__schema` and `__type`, through fragments.",
)
VARIABLE_BYTES: Final = Limit(
    "variableBytes",
    2**20,
    "bytes",
    "Length of `variables` as JSON, without the rows of `recordMetrics` and `recordEvents`.",
)
VARIABLE_VALUES: Final = Limit(
    "variableValues",
    10_000,
    "values",
    "Commas and opening brackets of `variables` as JSON, without such rows.",
)
VARIABLE_OBJECTS: Final = Limit(
    "variableObjects",
    2_100,
    "objects",
    "Objects in `variables`, without such rows, again wherever a field uses them.",
)
MEMBER_CHARACTERS: Final = Limit(
    "memberCharacters",
    2_000,
    "characters in the name of a member",
    "Length of a member's name in `variables` of more than 64 KiB.",
)
VALIDATION_ERRORS: Final = Limit(
    "validationErrors",
    5,
    "errors",
    "Errors in the answer to an invalid document.",
    is_fixed=True,
)
RESPONSE_ERRORS: Final = Limit(
    "responseErrors",
    100,
    "errors",
    "Errors of fields in a response; later ones are left out.",
    is_fixed=True,
)
MESSAGE_CHARACTERS: Final = Limit(
    "messageCharacters",
    500,
    "characters",
    "Length of an error message; the rest is cut.",
    is_fixed=True,
)
QUOTED_CHARACTERS: Final = Limit(
    "quotedCharacters",
    100,
    "characters",
    "Length of an unknown metric's name in a message; the rest is cut.",
    is_fixed=True,
)
LISTED_NAMES: Final = Limit(
    "listedNames",
    10_000,
    "names",
    "Names in a list of `overview`, `GET /dashboard` or `GET /metrics`; the counts count all.",
    is_fixed=True,
)
TRUSTED_DOCUMENTS: Final = Limit(
    "trustedDocuments", 1_000, "documents", "Trusted documents of a project."
)
TRUSTED_DOCUMENT_BYTES: Final = Limit(
    "trustedDocumentBytes", 16 * 2**20, "bytes", "Trusted documents of all projects, in UTF-8."
)
DOCUMENT_ID_CHARACTERS: Final = Limit(
    "documentIdCharacters", 200, "characters", "Length of the id of a trusted document."
)
AUTOMATIC_DOCUMENT_BYTES: Final = Limit(
    "automaticDocumentBytes",
    2**20,
    "bytes",
    "Automatic persisted queries of a project that are kept, in UTF-8; the oldest are dropped.",
)
AUTOMATIC_PROJECTS: Final = Limit(
    "automaticProjects",
    64,
    "projects",
    "Projects whose automatic persisted queries are kept: those that used some last.",
)
DASHBOARDS: Final = Limit("dashboards", 1_000, "dashboards", "Dashboards of a project.")
DASHBOARD_PANELS: Final = Limit("dashboardPanels", 50, "panels", "Panels of a dashboard.")
DASHBOARD_BYTES: Final = Limit("dashboardBytes", 2**18, "bytes", "Length of a dashboard as JSON.")
DASHBOARD_VERSIONS: Final = Limit(
    "dashboardVersions", 50, "versions", "Versions of a dashboard that are kept, the newest ones."
)
DASHBOARD_TITLE_CHARACTERS: Final = Limit(
    "dashboardTitleCharacters",
    200,
    "characters",
    "Length of a title of a dashboard, or of a panel.",
    is_fixed=True,
)
DASHBOARD_TEXT_CHARACTERS: Final = Limit(
    "dashboardTextCharacters",
    20_000,
    "characters",
    "Length of a description, or of the text of a panel.",
    is_fixed=True,
)
CONNECTION_OPERATIONS: Final = Limit(
    "connectionOperations",
    100,
    "operations",
    "Operations that run at one time on a WebSocket or on a reserved stream.",
)
SUBSCRIPTIONS: Final = Limit(
    "subscriptions", 50_000, "subscriptions", "Subscriptions of all clients at one time."
)
RESERVATIONS: Final = Limit(
    "reservations", 10_000, "reserved streams", "Streams of events that are reserved by PUT."
)

LIMITS: Final = (
    DOCUMENT_BYTES,
    DOCUMENT_TOKENS,
    DOCUMENT_DEPTH,
    OPERATIONS,
    FRAGMENTS,
    ALIASES,
    ALIAS_CHARACTERS,
    DIRECTIVES,
    INPUT_FIELDS,
    ARGUMENT_VALUES,
    ARGUMENT_OBJECTS,
    ROOT_FIELDS,
    SELECTIONS,
    EQUAL_FIELDS,
    COMPARISONS,
    INTROSPECTION_ROOTS,
    INTROSPECTION_ALIASES,
    VARIABLE_BYTES,
    VARIABLE_VALUES,
    VARIABLE_OBJECTS,
    MEMBER_CHARACTERS,
    VALIDATION_ERRORS,
    RESPONSE_ERRORS,
    MESSAGE_CHARACTERS,
    QUOTED_CHARACTERS,
    LISTED_NAMES,
)
"""All limits, in the order of the documentation."""

STORED_DOCUMENT_LIMITS: Final = (
    TRUSTED_DOCUMENTS,
    TRUSTED_DOCUMENT_BYTES,
    DOCUMENT_ID_CHARACTERS,
    AUTOMATIC_DOCUMENT_BYTES,
    AUTOMATIC_PROJECTS,
)
"""Limits of documents that clients name by an id or a hash, in the order of the documentation."""

DASHBOARD_LIMITS: Final = (
    DASHBOARDS,
    DASHBOARD_PANELS,
    DASHBOARD_BYTES,
    DASHBOARD_VERSIONS,
    DASHBOARD_TITLE_CHARACTERS,
    DASHBOARD_TEXT_CHARACTERS,
)
"""Limits of stored dashboards, in the order of the documentation."""

SUBSCRIPTION_LIMITS: Final = (CONNECTION_OPERATIONS, SUBSCRIPTIONS, RESERVATIONS)
"""Limits of subscriptions and of the connections that carry them."""

_ALL_LIMITS: Final = (*LIMITS, *STORED_DOCUMENT_LIMITS, *SUBSCRIPTION_LIMITS, *DASHBOARD_LIMITS)


class LimitTable:
    """All limits of a service, in the order of the documentation."""

    def __init__(
        self,
        settings: Mapping[str, float] = MappingProxyType({}),
        service_limits: Sequence[Limit] = (),
    ) -> None:
        """Replace the values of the limits that settings name.

        `service_limits` are limits that are declared elsewhere, with their values. Raises
        `ValueError` for a value that a limit can't have.
        """
        self._limits = {limit.name: limit for limit in service_limits}
        for limit in _ALL_LIMITS:
            value = _whole_number(limit.name, settings.get(limit.name, limit.value))
            if value < 1:
                raise ValueError(f"needs more than 0 for {limit.name}")
            self._limits[limit.name] = replace(limit, value=value)

    def __getitem__(self, declared_limit: Limit) -> Limit:
        """Return a limit with its value in this service."""
        return self._limits[declared_limit.name]

    def __iter__(self) -> Iterator[Limit]:
        """Give all limits."""
        return iter(self._limits.values())


DEFAULT_LIMITS: Final = LimitTable()
"""The declared limits, with their defaults."""
