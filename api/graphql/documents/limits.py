"""The size of a parsed document: counted in one pass, and compared with the limits.

The pass is linear: it visits each node once, and each selection set once, however often fragments
repeat it. graphql-core's validation is not.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from graphql import (
    DirectiveNode,
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    NameNode,
    Node,
    ObjectFieldNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableDefinitionNode,
    VariableNode,
)

from api.graphql.row_inputs import MUTATIONS, rows_variable
from schema.errors import limit_error
from schema.limits import (
    ALIAS_CHARACTERS,
    ALIASES,
    ARGUMENT_VALUES,
    DIRECTIVES,
    DOCUMENT_DEPTH,
    EQUAL_FIELDS,
    FRAGMENTS,
    INPUT_FIELDS,
    INTROSPECTION_ALIASES,
    INTROSPECTION_ROOTS,
    OPERATIONS,
    ROOT_FIELDS,
    SELECTIONS,
    Limit,
    LimitTable,
)

_INTROSPECTION: Final = frozenset({"__schema", "__type"})
_EMPTY_SET: Final = SelectionSetNode(selections=())

Counts = Mapping[Limit, int]


def check_size(
    document: DocumentNode, limits: LimitTable
) -> tuple[frozenset[str], Mapping[str, int], Counts]:
    """Return the variables that are rows of mutations, and nothing else; the repeated ones; counts.

    The repeated ones are the variables that several fields use, with their numbers of uses. The
    counts are those of the executed document. Raises GRAPHQL_VALIDATION_FAILED, with the limit, if
    the document breaks one.
    """
    syntax = count_syntax(document)
    _check(syntax.counts, limits)
    counts, uses = count_expanded(document, limits)
    _check(counts, limits)
    repeated_variables = {name: count for name, count in uses.items() if count > 1}
    return syntax.row_variables, repeated_variables, counts


def _check(counts: Counts, limits: LimitTable) -> None:
    for declared_limit, count in counts.items():
        limit = limits[declared_limit]
        if count > limit.value:
            raise limit_error(limit)


class Syntax(NamedTuple):
    """Counts of a document as written, and the variables that are rows and nothing else."""

    counts: Counts
    row_variables: frozenset[str]


def count_syntax(document: DocumentNode) -> Syntax:
    """Count the nodes of a document by their limits."""
    nodes = Counter[type[Node]]()
    aliases = 0
    longest_alias = 0
    uses = Counter[str]()
    uses_as_rows = Counter[str]()
    for node in nodes_below(document):
        nodes[type(node)] += 1
        if isinstance(node, FieldNode):
            if node.alias:
                aliases += 1
                longest_alias = max(longest_alias, len(node.alias.value))
            if node.name.value in MUTATIONS:
                name = rows_variable(node)
                uses_as_rows.update(() if name is None else (name,))
        elif isinstance(node, VariableNode):
            uses[node.name.value] += 1
        elif isinstance(node, VariableDefinitionNode):
            uses[node.variable.name.value] -= 1
    counts = {
        OPERATIONS: nodes[OperationDefinitionNode],
        FRAGMENTS: nodes[FragmentDefinitionNode],
        ALIASES: aliases,
        ALIAS_CHARACTERS: longest_alias,
        DIRECTIVES: nodes[DirectiveNode],
        INPUT_FIELDS: nodes[ObjectFieldNode],
    }
    row_variables = {name for name, count in uses_as_rows.items() if uses[name] == count}
    return Syntax(counts, frozenset(row_variables))


def nodes_below(root: Node) -> Iterator[Node]:
    """Give the nodes of a tree, without the nodes of names."""
    stack = [root]
    while stack:
        node = stack.pop()
        yield node
        for key in node.keys:
            child = getattr(node, key, None)
            if isinstance(child, Node):
                if not isinstance(child, NameNode):  # a third of all nodes, of which none counts
                    stack.append(child)
            elif child and isinstance(child, tuple | list):
                stack += child


@dataclass(slots=True)
class _Fields:
    """The fields of a selection set through fragments, each with its level of braces.

    A fragment counts once, as GraphQL executes it. `selections` counts the nodes on the way.
    """

    fields: list[tuple[FieldNode, int]] = field(default_factory=list)
    selections: int = 0
    max_level: int = 1

    def equal_fields(self) -> int:
        """Return the largest number of fields with one response key."""
        keys = Counter(_response_key(node) for node, _ in self.fields)
        return max(keys.values(), default=0)


def _response_key(node: FieldNode) -> str:
    return (node.alias or node.name).value


class _Values(NamedTuple):
    """The values below a node: all of them, fields of objects, and uses of each variable."""

    values: int
    input_fields: int
    variables: Counter[str]

    def plus(self, summand: "_Values", times: int = 1) -> "_Values":
        """Add values several times; variables are counted in place."""
        for name, count in summand.variables.items():
            self.variables[name] += times * count
        return _Values(
            self.values + times * summand.values,
            self.input_fields + times * summand.input_fields,
            self.variables,
        )


def _values_below(node: Node) -> _Values:
    values = input_fields = 0
    variables = Counter[str]()
    for inner in nodes_below(node):
        values += isinstance(inner, ValueNode)
        input_fields += isinstance(inner, ObjectFieldNode)
        if isinstance(inner, VariableNode):
            variables[inner.name.value] += 1
    return _Values(values, input_fields, variables)


class _Size(NamedTuple):
    """Expanded selections of a selection set, its depth, its aliases, its values."""

    selections: int
    depth: int
    aliases: int
    values: _Values


_NO_SIZE: Final = _Size(0, 0, 0, _Values(0, 0, Counter()))


def count_selections(document: DocumentNode, limits: LimitTable) -> Counts:
    """Count the expanded selections of the operations of a document."""
    return count_expanded(document, limits)[0]


def count_expanded(document: DocumentNode, limits: LimitTable) -> tuple[Counts, Mapping[str, int]]:
    """Count the expanded selections and values of the operations, and the uses of variables.

    Fragments that no operation spreads are left out. A fragment within itself counts once.
    Raises GRAPHQL_VALIDATION_FAILED when more selections than the limit were visited.
    """
    expansion = _Expansion(document, limits[SELECTIONS])
    uses = Counter[str]()
    counts = dict.fromkeys(
        (
            INPUT_FIELDS,
            ARGUMENT_VALUES,
            ROOT_FIELDS,
            SELECTIONS,
            DOCUMENT_DEPTH,
            EQUAL_FIELDS,
            INTROSPECTION_ROOTS,
            INTROSPECTION_ALIASES,
        ),
        0,
    )
    for node in document.definitions:
        if not isinstance(node, OperationDefinitionNode):
            continue
        size = expansion.measure(node.selection_set)
        values = _with_defaults(size.values, node)
        uses |= size.values.variables
        roots = [root for root, _ in expansion.collect(node.selection_set).fields]
        introspection = [root for root in roots if root.name.value in _INTROSPECTION]
        aliases = sum(
            expansion.measure(root.selection_set or _EMPTY_SET).aliases for root in introspection
        )
        counts[SELECTIONS] += size.selections
        for limit, count in (
            (INPUT_FIELDS, values.input_fields),
            (ARGUMENT_VALUES, values.values),
            (ROOT_FIELDS, len(roots)),
            (DOCUMENT_DEPTH, size.depth),
            (INTROSPECTION_ROOTS, len(introspection)),
            (INTROSPECTION_ALIASES, aliases),
        ):
            counts[limit] = max(counts[limit], count)
    counts[EQUAL_FIELDS] = expansion.equal_fields
    return counts, uses


def _with_defaults(values: _Values, operation: OperationDefinitionNode) -> _Values:
    """Add the default of each variable wherever it is used, as if no request had the variable."""
    total = values._replace(variables=Counter())
    for definition in operation.variable_definitions or ():
        if definition.default_value:
            uses = values.variables[definition.variable.name.value]
            total = total.plus(_values_below(definition.default_value), uses)
    return total


class _Expansion:
    """The selection sets of a document; each is collected and measured once.

    Nodes are known by their identity: graphql-core computes a hash from all nodes below.
    """

    def __init__(self, document: DocumentNode, selections: Limit) -> None:
        self._max_selections = selections
        self._fragments = {
            node.name.value: node
            for node in document.definitions
            if isinstance(node, FragmentDefinitionNode)
        }
        self._fields: dict[int, _Fields] = {}
        self._sizes: dict[int, _Size] = {}
        self._visited_selections = 0
        self.equal_fields = 0

    def measure(self, root: SelectionSetNode) -> _Size:
        """Return the size of a selection set. Recursion would end at 1,000 fragments."""
        stack = [root]
        while stack:
            selection_set = stack[-1]
            if id(selection_set) in self._sizes:
                stack.pop()
            elif id(selection_set) in self._fields:
                self._sizes[id(selection_set)] = self._sum(selection_set)
                stack.pop()
            else:
                for node, _ in self.collect(selection_set).fields:
                    if node.selection_set and id(node.selection_set) not in self._fields:
                        stack.append(node.selection_set)
        return self._sizes[id(root)]

    def _sum(self, selection_set: SelectionSetNode) -> _Size:
        collection = self._fields[id(selection_set)]
        selections, depth, aliases = collection.selections, collection.max_level, 0
        values = _Values(0, 0, Counter())
        for node, level in collection.fields:
            aliases += node.alias is not None
            for argument in node.arguments or ():
                values = values.plus(_values_below(argument.value))
            if node.selection_set:
                size = self._sizes.get(id(node.selection_set), _NO_SIZE)  # absent in a cycle
                selections += size.selections
                depth = max(depth, level + size.depth)
                aliases += size.aliases
                values = values.plus(size.values)
        return _Size(selections, depth, aliases, values)

    def collect(self, selection_set: SelectionSetNode) -> _Fields:
        """Return the fields of a selection set."""
        collection = self._fields.get(id(selection_set))
        if collection is None:
            collection = self._fields[id(selection_set)] = self._collect(selection_set)
            self._visited_selections += collection.selections
            if self._visited_selections > self._max_selections.value:
                raise limit_error(self._max_selections)
            self.equal_fields = max(self.equal_fields, collection.equal_fields())
        return collection

    def _collect(self, selection_set: SelectionSetNode) -> _Fields:
        collection = _Fields()
        fragments: set[str] = set()
        stack = [(selection_set, 1)]
        while stack:
            parent, level = stack.pop()
            collection.max_level = max(collection.max_level, level)
            collection.selections += len(parent.selections)
            for node in parent.selections:
                if isinstance(node, FieldNode):
                    collection.fields.append((node, level))
                elif isinstance(node, InlineFragmentNode):
                    stack.append((node.selection_set, level + 1))
                elif isinstance(node, FragmentSpreadNode):
                    name = node.name.value
                    if name in self._fragments and name not in fragments:
                        fragments.add(name)
                        stack.append((self._fragments[name].selection_set, level + 1))
        return collection
