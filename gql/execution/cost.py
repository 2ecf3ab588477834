"""What an operation can cost: the number of fields that its response can hold.

A list with a page size (`first`, `last`, or as many as its `ids`) counts what is below it that many times, one without
counts it 10 times. All that does not depend on variables is added up once per document; a request only fills in its own
page sizes, so the check costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLList,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    NullValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from models.pagination import DEFAULT_SIZE, MAX_SIZE

PLAIN_LIST = 10
"""What a list without a page size is taken for."""

_SIZES = ("first", "last", "ids")


@dataclass(frozen=True, slots=True)
class Size:
    """A page size that a variable gives; `default` where the request does not."""

    variable: str
    default: int

    def of(self, variables: Mapping[str, Any]) -> int:
        """The size in one request. Values that coercion will refuse count as the default."""
        return _as_size(variables.get(self.variable), self.default)


@dataclass(frozen=True, slots=True)
class Plan:
    """`fixed`, and what depends on variables: for each part, the largest of its sizes times the part's own plan."""

    fixed: int
    parts: tuple[tuple[int, tuple[Size, ...], Plan], ...] = ()

    def cost(self, variables: Mapping[str, Any]) -> int:
        """How many fields the response can hold."""
        total = self.fixed
        for least, sizes, part in self.parts:
            total += (
                max(least, *(size.of(variables) for size in sizes)) * part.cost(variables)
                if sizes
                else (least * part.cost(variables))
            )
        return total


def plan_of(schema: GraphQLSchema, document: DocumentNode, operation_name: str | None) -> Plan:
    """The plan of one operation of a validated document."""
    operations = [each for each in document.definitions if isinstance(each, OperationDefinitionNode)]
    operation = next((each for each in operations if each.name and each.name.value == operation_name), operations[0])
    root = schema.get_root_type(operation.operation)
    return _Planner(schema, document, operation).plan([operation.selection_set], root, paged=False)


class _Planner:
    """Adds up one operation. The document is valid and within the static limits, so the walk ends soon."""

    def __init__(self, schema: GraphQLSchema, document: DocumentNode, operation: OperationDefinitionNode) -> None:
        self._schema = schema
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._defaults = {each.variable.name.value: each.default_value for each in operation.variable_definitions or ()}

    def plan(self, selection_sets: list[SelectionSetNode], parent: GraphQLNamedType | None, *, paged: bool) -> Plan:
        fixed = 0
        parts: list[tuple[int, tuple[Size, ...], Plan]] = []
        for selection_set in selection_sets:
            for node in selection_set.selections:
                added = self._node(node, parent, paged=paged)
                fixed += added.fixed
                parts.extend(added.parts)
        return Plan(fixed, tuple(parts))

    def _node(self, node: object, parent: GraphQLNamedType | None, *, paged: bool) -> Plan:
        if isinstance(node, InlineFragmentNode):
            condition = node.type_condition
            kind = parent if condition is None else self._schema.get_type(condition.name.value)
            return self.plan([node.selection_set], kind, paged=paged)
        if isinstance(node, FragmentSpreadNode):
            fragment = self._fragments[node.name.value]
            kind = self._schema.get_type(fragment.type_condition.name.value)
            return self.plan([fragment.selection_set], kind, paged=paged)
        assert isinstance(node, FieldNode)
        definition = getattr(parent, "fields", {}).get(node.name.value)
        if definition is None or node.selection_set is None:  # a leaf, or introspection
            return Plan(1)
        least, sizes = self._sizes(node, definition.args)
        is_paged = least > 0 or bool(sizes)
        below, listed = _unwrapped(definition.type)
        inner = self.plan([node.selection_set], below, paged=is_paged)
        if not is_paged:
            # The list inside a connection is the page that the connection's own arguments sized.
            least = PLAIN_LIST if listed and not paged else 1
        if not sizes and not inner.parts:
            return Plan(1 + least * inner.fixed)
        return Plan(1, ((least, sizes, inner),))

    def _sizes(self, node: FieldNode, arguments: Mapping[str, Any]) -> tuple[int, tuple[Size, ...]]:
        """The largest size that the document itself gives, and the sizes that variables give."""
        if not any(name in arguments for name in _SIZES):
            return 0, ()
        given = {each.name.value: each.value for each in node.arguments or () if each.name.value in _SIZES}
        least = 0
        sizes: list[Size] = []
        for value in given.values():
            if isinstance(value, VariableNode):
                name = value.name.value
                sizes.append(Size(name, _literal(self._defaults.get(name), DEFAULT_SIZE)))
            else:
                least = max(least, _literal(value, 0))
        if not sizes and all(isinstance(value, NullValueNode) for value in given.values()):
            least = DEFAULT_SIZE
        return max(least, 0 if sizes else 1), tuple(sizes)


def _literal(value: ValueNode | None, default: int) -> int:
    if isinstance(value, IntValueNode):
        return _as_size(int(value.value), default) if len(value.value) <= len(str(MAX_SIZE)) + 1 else MAX_SIZE
    return min(len(value.values), MAX_SIZE) if isinstance(value, ListValueNode) else default


def _unwrapped(kind: Any) -> tuple[Any, bool]:
    """The named type inside, and whether there is a list around it."""
    listed = False
    while (inner := getattr(kind, "of_type", None)) is not None:
        listed = listed or isinstance(kind, GraphQLList)
        kind = inner
    return kind, listed


def _as_size(value: Any, default: int) -> int:
    if isinstance(value, list):
        return min(len(cast("list[Any]", value)), MAX_SIZE)
    if isinstance(value, bool) or not isinstance(value, int):
        return default
    return min(max(value, 0), MAX_SIZE)
