"""XML from servers that tenants name: no DTD, no entities but the built-in five, no network, bounded depth and size."""

from __future__ import annotations

from lxml import etree


def _parser() -> etree.XMLParser:
    return etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
        collect_ids=False,
    )


def parse_xml(body: bytes) -> etree._Element:
    """The root of a document. Raises etree.XMLSyntaxError, and ValueError when it declares a document type."""
    root = etree.fromstring(body, _parser())
    if root.getroottree().docinfo.doctype:
        raise ValueError("document type declaration")
    return root


def namespace_of(root: etree._Element) -> str:
    """`{uri}` of the root's tag, or nothing: S3-compatible servers do both."""
    tag = str(root.tag)
    return tag[: tag.index("}") + 1] if tag.startswith("{") else ""


def text_of(root: etree._Element, name: str) -> str | None:
    """The text of the root's child `name` in the root's namespace."""
    return root.findtext(namespace_of(root) + name)
