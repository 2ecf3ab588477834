"""What is known of a document once it has been seen: its tree, what is wrong with it, what its operations cost.

Found by the document's text. Strawberry's ParserCache and ValidationCache do the same in two steps, but the second
finds its entry by hashing the tree, node by node, in every request: 72 µs for an introspection query, against 1 µs for
its text.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

from graphql import ASTValidationRule, DocumentNode, GraphQLError, GraphQLSchema, NoSchemaIntrospectionCustomRule, parse
from graphql import specified_rules as specified
from strawberry.schema.schema import validate_document

from gql.execution.cost import Plan, plan_of
from gql.execution.limits import Limits, check_document

DOCUMENTS_KEPT = 256
"""Front ends send few documents, again and again."""

LONGEST_KEPT = 32_768
"""Characters. Longer ones are made by programs, each time anew, and would fill the memory."""

CHARACTERS_KEPT = 524_288
"""Of all documents together. A tree and its errors take some 50 bytes for each: 26 MB when all are hostile."""

_RULES: tuple[type[ASTValidationRule], ...] = tuple(specified)
_RULES_WITHOUT_INTROSPECTION = (*_RULES, NoSchemaIntrospectionCustomRule)


@dataclass(slots=True)
class Document:
    """One document. Each answer is worked out when it is first asked for."""

    tree: DocumentNode
    _too_much: list[GraphQLError] | None = None
    _errors: dict[bool, list[GraphQLError]] = field(default_factory=dict[bool, list[GraphQLError]])
    _plans: dict[str | None, Plan] = field(default_factory=dict["str | None", Plan])

    def errors(self, schema: GraphQLSchema, limits: Limits, *, introspection: bool) -> list[GraphQLError]:
        """Why it is not to be executed: a limit, or else what validation finds."""
        if self._too_much is None:
            self._too_much = check_document(self.tree, limits)
        if self._too_much:
            return self._too_much
        found = self._errors.get(introspection)
        if found is None:
            rules = _RULES if introspection else _RULES_WITHOUT_INTROSPECTION
            found = self._errors[introspection] = validate_document(schema, self.tree, rules)
        return found

    def plan(self, schema: GraphQLSchema, operation_name: str | None) -> Plan:
        """What one of its operations can cost. Only for a valid document, and a name that is in it."""
        plan = self._plans.get(operation_name)
        if plan is None:
            plan = self._plans[operation_name] = plan_of(schema, self.tree, operation_name)
        return plan


class DocumentCache:
    """The documents of one schema: at most 256 and 512 KiB of text, the least recently used goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Document] = OrderedDict()
        self._characters = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, text: str, *, max_tokens: int) -> Document:
        """The document of a text. Raises GraphQLSyntaxError; what cannot be parsed is not kept."""
        known = self._kept.get(text)
        if known is not None:
            self._kept.move_to_end(text)
            return known
        document = Document(parse(text, max_tokens=max_tokens))
        if len(text) <= LONGEST_KEPT:
            self._kept[text] = document
            self._characters += len(text)
            while len(self._kept) > DOCUMENTS_KEPT or self._characters > CHARACTERS_KEPT:
                oldest, _ = self._kept.popitem(last=False)
                self._characters -= len(oldest)
        return document
