"""What an operation may look like, whatever its variables: checked once per document, before it is validated.

Before, because validating is what a hostile document makes expensive: comparing fields that answer under one name costs
the square of their number. The walk below goes over the response as it would be, fragments spread and equal names
merged, and stops at its own budget, so it is bounded for every document.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from gql.errors import LIMIT


@dataclass(frozen=True, slots=True)
class Limits:
    """Static limits of one document, and the cost of one operation (see `cost`)."""

    tokens: int = 2_000
    depth: int = 16
    aliases: int = 50
    directives: int = 50
    duplicates: int = 20
    fields: int = 2_000
    cost: int = 100_000


def check_document(document: DocumentNode, limits: Limits) -> list[GraphQLError]:
    """The first limit that the document passes, as a list of at most one error.

    `duplicates`: fields that answer under one name in one place. `fields`: of the response with every list one long.
    """
    walk = _Walk(document, limits)
    try:
        for definition in document.definitions:
            if isinstance(definition, OperationDefinitionNode):
                walk.count_directives(definition)
                walk.visit([definition.selection_set], 1)
    except _PassedError as passed:
        return [GraphQLError(str(passed), extensions={"code": LIMIT})]
    return []


class _PassedError(Exception):
    """A limit is passed; the message says which."""


class _Walk:
    """One pass over a document. Fragments of unknown names are left to validation."""

    def __init__(self, document: DocumentNode, limits: Limits) -> None:
        self._limits = limits
        self._fragments = {
            each.name.value: each for each in document.definitions if isinstance(each, FragmentDefinitionNode)
        }
        self._fields = self._aliases = self._directives = 0

    def visit(self, selection_sets: Iterable[SelectionSetNode], depth: int) -> None:
        """Visits what several selection sets ask of one place. Raises _PassedError."""
        if depth > self._limits.depth:
            raise _PassedError(f"The operation is nested deeper than {self._limits.depth} fields.")
        found: dict[str, list[FieldNode]] = {}
        seen: set[str] = set()
        for selection_set in selection_sets:
            self._collect(selection_set, found, seen)
        for fields in found.values():
            if len(fields) > self._limits.duplicates:
                raise _PassedError(f"A field is asked for more than {self._limits.duplicates} times in one place.")
            below = [field.selection_set for field in fields if field.selection_set is not None]
            if below:
                self.visit(below, depth + 1)

    def count_directives(
        self, node: OperationDefinitionNode | FieldNode | FragmentSpreadNode | InlineFragmentNode
    ) -> None:
        """Counts the directives of a node. Raises _PassedError."""
        self._directives += len(node.directives or ())
        if self._directives > self._limits.directives:
            raise _PassedError(f"The operation has more than {self._limits.directives} directives.")

    def _collect(self, selection_set: SelectionSetNode, found: dict[str, list[FieldNode]], seen: set[str]) -> None:
        waiting = [selection_set]
        while waiting:
            for node in waiting.pop().selections:
                self._count(node)
                if isinstance(node, FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append(node)
                elif isinstance(node, InlineFragmentNode):
                    waiting.append(node.selection_set)
                elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen:
                    seen.add(node.name.value)
                    fragment = self._fragments.get(node.name.value)
                    if fragment is not None:
                        waiting.append(fragment.selection_set)

    def _count(self, node: object) -> None:
        self._fields += 1
        if self._fields > self._limits.fields:
            raise _PassedError(f"The operation has more than {self._limits.fields} fields, its fragments spread.")
        if isinstance(node, FieldNode) and node.alias is not None:
            self._aliases += 1
            if self._aliases > self._limits.aliases:
                raise _PassedError(f"The operation has more than {self._limits.aliases} aliases.")
        if isinstance(node, FieldNode | FragmentSpreadNode | InlineFragmentNode) and node.directives:
            self.count_directives(node)
