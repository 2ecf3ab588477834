"""Which objects of a listing a sync takes. Each rule has a name, and what it leaves out is counted under it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic

from sluicegate.core.errors import InvalidError
from sluicegate.core.text import text_of_key
from sluicegate.providers.base import Entry
from sluicegate.sync.linear import MAX_MEMORY_BYTES, Linear, LinearError, linear
from sluicegate.sync.records import has_records

FOLDER_MARKER = "folder_marker"
REGEX = "regex"
UNSUPPORTED = "unsupported"
"""READ mode: a kind of file that has no records."""

MAX_PATTERN_LENGTH = 4_096
BREATH_SECONDS = 0.01
# What Python's and Perl's engines have and RE2 gives up for linear time (RE2's published syntax page).
_BEYOND_RE2 = (
    (re.compile(r"\(\?<?[=!]"), "look-ahead and look-behind"),
    (re.compile(r"\\[1-9]|\(\?P="), "back-references"),
    (re.compile(r"\(\?>|[*+?}]\+"), "atomic groups and possessive quantifiers"),
    (re.compile(r"\(\?\("), "conditional groups"),
    (re.compile(r"\\Z"), r"\Z (write \z or $)"),
)


Rule = tuple[str, Callable[[Entry, str], bool]]
"""A rule's name, and whether an object with that path passes."""


@dataclass(frozen=True, slots=True)
class Filters:
    """The compiled rules of a plan, in the order in which they are asked. Without any, all but folder markers pass."""

    rules: tuple[Rule, ...] = ()

    def rejects(self, entry: Entry, path: str) -> str | None:
        """The name of the first rule that leaves the object out, or None."""
        if entry.size == 0 and entry.key.endswith(b"/"):
            return FOLDER_MARKER
        for name, passes in self.rules:
            if not passes(entry, path):
                return name
        return None


async def rejected(filters: Filters, entries: Sequence[Entry]) -> dict[bytes, str]:
    """Key → the rule that leaves it out. Others get their turn meanwhile: a hostile regex takes tens of ms a path."""
    rules = filters.rules
    if not rules:
        return {entry.key: FOLDER_MARKER for entry in entries if entry.size == 0 and entry.key.endswith(b"/")}
    found: dict[bytes, str] = {}
    breathed = monotonic()
    # What `Filters.rejects` does, in place: the calls would cost as much as the rules.
    for entry in entries:
        key, size, _, _, path, _ = entry
        if size == 0 and key.endswith(b"/"):
            found[key] = FOLDER_MARKER
            continue
        if path is None:
            path = text_of_key(key)
        for name, passes in rules:
            if not passes(entry, path):
                found[key] = name
                break
        if monotonic() - breathed > BREATH_SECONDS:
            await asyncio.sleep(0)
            breathed = monotonic()
    return found


def regex_rule(pattern: str, *, path: Sequence[str] = ("regexFilter",)) -> Rule:
    """Objects whose key matches from its start. Raises InvalidError as `compile_regex` does."""
    match = compile_regex(pattern, path=path).match
    return REGEX, lambda _, text: match(text)


RECORDS_RULE: Rule = (UNSUPPORTED, lambda _, text: has_records(text))
"""Files that have records."""


def compile_regex(
    pattern: str, *, path: Sequence[str] = ("regexFilter",), groups: bool = False, memory: int = MAX_MEMORY_BYTES
) -> Linear:
    """A RE2 pattern, matched in time linear in the length of a key. `groups`, `memory`: as for `linear`.

    Raises InvalidError that names what RE2 lacks (https://github.com/google/re2/wiki/Syntax) or what is malformed.
    """
    if len(pattern) > MAX_PATTERN_LENGTH:
        raise InvalidError(f"The regex is longer than {MAX_PATTERN_LENGTH} characters.", path=path)
    try:
        return linear(pattern, groups=groups, memory=memory)
    except LinearError as error:
        reason = str(error)
        for syntax, name in _BEYOND_RE2:
            if syntax.search(pattern):
                raise InvalidError(
                    f"The regex uses {name}, which RE2 does not have: {reason}.",
                    path=path,
                    hint="Match what you want, and leave the rest out with excludePatterns.",
                ) from None
        raise InvalidError(f"The regex is not valid: {reason}.", path=path) from None
    except UnicodeEncodeError:
        raise InvalidError("The regex contains a lone surrogate.", path=path) from None


def path_of(entry: Entry) -> str:
    """The path an object is shown and filtered by."""
    if entry.path is not None:
        return entry.path
    return text_of_key(entry.key)
