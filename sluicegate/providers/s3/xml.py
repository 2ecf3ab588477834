"""XML from servers that tenants name: no DTD, no entities but the built-in five, no network, bounded depth.

lxml ships no types: everything of it that the provider uses is given some here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from lxml import etree as _untyped  # pyright: ignore[reportAttributeAccessIssue, reportUnknownVariableType]

_etree = cast("Any", _untyped)


class MalformedXmlError(ValueError):
    """Not well-formed, or with a document type declaration, which no answer of S3 has and entity bombs need."""


class Node(Protocol):
    """The part of an lxml element that is used."""

    @property
    def tag(self) -> str:
        """`{namespace}name`."""
        ...

    @property
    def text(self) -> str | None:
        """The text before the first child."""
        ...

    def find(self, path: str) -> Node | None:
        """The first element of the path."""
        ...

    def findtext(self, path: str) -> str | None:
        """Its text; empty when it has none."""
        ...

    def iterfind(self, path: str) -> Iterator[Node]:
        """All of them."""
        ...


def parse_xml(body: bytes) -> Node:
    """The root of a document. Raises MalformedXmlError."""
    parser = _etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )
    try:
        root = _etree.fromstring(body, parser)
    except (_etree.XMLSyntaxError, ValueError) as error:
        raise MalformedXmlError(type(error).__name__) from None
    if root.getroottree().docinfo.doctype:
        raise MalformedXmlError("document type declaration")
    return cast("Node", root)


def namespace_of(root: Node) -> str:
    """`{uri}` of the root's tag, or nothing: S3-compatible servers do both."""
    return root.tag[: root.tag.index("}") + 1] if root.tag.startswith("{") else ""


def text_of(root: Node, name: str) -> str | None:
    """The text of the root's child `name` in the root's namespace."""
    return root.findtext(namespace_of(root) + name)


def texts_path(path: str, namespace: str) -> Callable[[Node], list[str]]:
    """A compiled XPath that gives texts; `s:` stands for the namespace."""
    path_of = _etree.XPath(path, namespaces={"s": namespace} if namespace else None, smart_strings=False)
    return cast("Callable[[Node], list[str]]", path_of)


def count_path(path: str, namespace: str) -> Callable[[Node], float]:
    """A compiled XPath that counts."""
    path_of = _etree.XPath(f"count({path})", namespaces={"s": namespace} if namespace else None)
    return cast("Callable[[Node], float]", path_of)
