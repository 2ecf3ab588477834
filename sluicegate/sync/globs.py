r"""Glob patterns of paths, as gitignore has them and with rclone's braces, as one RE2 pattern: linear time for all.

- `*` is any text and `?` any character without `/`; `**` crosses `/`, and between slashes (`a/**/b`) may be no folder.
- `[a-z]`, `[!a-z]` (also `[^a-z]`): one character, never `/`; `{jpg,png}`: one of these, which hold no `/` and no `**`.
- At most 16 of `*`, `**` and braces in a pattern: each is a place where a match can go on in many ways at once.
- A backslash takes the next character as it is. Case matters.
- Without `/`, a pattern is of the file's name, in any folder. With one at its start or within, it is of the whole path
  below the source path; the one at the start only says so. With one at its end, it is of everything in such a folder.

What gitignore and rclone do: https://git-scm.com/docs/gitignore and https://rclone.org/filtering/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_POSIX_CLASS = re.compile(r"\[:\w*:\]")
MAX_BRANCHES = 16
_ANY_FOLDERS = "(?:.*/)?"
_LITERAL_START = re.compile(r"(?:[^*?\[{}\\]|\\.)*", re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


class GlobError(ValueError):
    """A pattern that has no meaning; the first argument is why, the second how to mend it."""

    def __init__(self, reason: str, hint: str) -> None:
        super().__init__(reason, hint)
        self.reason = reason
        self.hint = hint


def alternation(globs: Iterable[str], base: str) -> str:
    """A RE2 pattern for `fullmatch` of paths that start with `base`, the source path. Raises GlobError."""
    # In the text of a key that is not UTF-8 a percent sign is encoded.
    bases = "|".join(_literals(text) for text in sorted({base, base.replace("%", "%25")}))
    return f"(?s)(?:{bases})(?:{'|'.join(map(translate, globs))})"


def translate(glob: str) -> str:
    """One glob as RE2 syntax, where `.` matches a line feed too. Raises GlobError."""
    translation, rooted, folder = _read(glob)
    pattern = translation.run() + ("/.*" if folder else "")
    return pattern if rooted or translation.slashes else _ANY_FOLDERS + pattern


def literal_start(glob: str) -> str:
    """The text that every path below the source path which a valid glob takes starts with; empty for any folder."""
    translation, rooted, folder = _read(glob)
    translation.run()
    if not (rooted or translation.slashes):
        return ""
    found = _LITERAL_START.match(translation.glob)
    assert found is not None
    whole = found.end() == len(translation.glob)
    return _ESCAPE.sub(r"\1", found[0]) + ("/" if whole and folder else "")


def _read(glob: str) -> tuple[_Translation, bool, bool]:
    """What is to be translated, whether it is of the whole path because of a slash at its start, and of a folder."""
    if glob.startswith("!"):
        raise GlobError("No pattern is negated by a !.", r"Put it among the other patterns, or write \! for the sign.")
    folder = glob.endswith("/") and not _escaped(glob, len(glob) - 1)
    body = glob.removesuffix("/") if folder else glob
    rooted = body.startswith("/")
    body = body.removeprefix("/")
    if not body:
        raise GlobError("The pattern is empty.", "Leave it out; ** takes everything.")
    return _Translation(body), rooted, folder


class _Translation:
    """One pass over a pattern."""

    def __init__(self, glob: str) -> None:
        self.glob = glob
        self.at = 0
        self.depth = 0
        self.slashes = 0
        self.branches = 0

    def run(self) -> str:
        parts: list[str] = []
        while self.at < len(self.glob):
            parts.append(self._next())
        if self.depth:
            raise GlobError("A { has no }.", r"Close it, or write \{ for the sign.")
        return "".join(parts)

    def _next(self) -> str:
        char = self.glob[self.at]
        if char == "*":
            return self._stars()
        if char == "[":
            return self._class()
        if char in "{}" or (char == "," and self.depth):
            return self._brace(char)
        self.at += 1
        if char == "?":
            return "[^/]"
        if char == "\\":
            char = self._escape()
        if char == "/":
            self.slashes += 1
            if self.depth:
                raise GlobError("A / is within braces.", "Write a pattern for each.")
        return _literal(char)

    def _escape(self) -> str:
        """The character after a backslash."""
        if self.at == len(self.glob):
            raise GlobError("A backslash at the end takes no character.", r"Write \\ for the sign.")
        self.at += 1
        return self.glob[self.at - 1]

    def _stars(self) -> str:
        start = self.at
        while self.glob.startswith("*", self.at):
            self.at += 1
        self._branch()
        if self.at - start == 1:
            return "[^/]*"
        if self.depth:
            raise GlobError("A ** is within braces.", "Write a pattern for each.")
        whole = (start == 0 or self.glob[start - 1] == "/") and self.glob.startswith("/", self.at)
        if not whole:
            return ".*"
        self.at += 1
        self.slashes += 1
        return _ANY_FOLDERS

    def _branch(self) -> None:
        self.branches += 1
        if self.branches > MAX_BRANCHES:
            raise GlobError(f"There are more than {MAX_BRANCHES} of *, ** and braces.", "Write several patterns.")

    def _brace(self, char: str) -> str:
        self.at += 1
        if char == "{":
            self.depth += 1
            self._branch()
            return "(?:"
        if char == ",":
            return "|"
        if not self.depth:
            raise GlobError("A } has no {.", r"Open it, or write \} for the sign.")
        self.depth -= 1
        return ")"

    def _class(self) -> str:
        self.at += 1
        negated = self.glob[self.at : self.at + 1] in ("!", "^")
        self.at += negated
        ranges: list[tuple[str, str]] = []
        # A ] at the start is one of the characters.
        while not ranges or self._peek() != "]":
            if _POSIX_CLASS.match(self.glob, self.at):
                raise GlobError("Classes such as [:alpha:] are not known.", "Write the characters, e.g. [a-zA-Z].")
            low = high = self._member()
            if self._peek() == "-" and self.glob[self.at + 1 : self.at + 2] not in ("]", ""):
                self.at += 1
                high = self._member()
            if low > high:
                raise GlobError(f"The range {low}-{high} is backwards.", f"Write {high}-{low}.")
            ranges.append((low, high))
        self.at += 1
        if negated:
            return f"[^/{_members(ranges)}]"
        members = _members(_without_slash(ranges))
        if not members:
            raise GlobError("A class of / alone matches nothing.", "Write the / outside of brackets.")
        return f"[{members}]"

    def _peek(self) -> str:
        if self.at >= len(self.glob):
            raise GlobError("A [ has no ].", r"Close it, or write \[ for the sign.")
        return self.glob[self.at]

    def _member(self) -> str:
        char = self._peek()
        self.at += 1
        return self._escape() if char == "\\" else char


def _escaped(glob: str, at: int) -> bool:
    """Whether a backslash that is not itself escaped stands before `at`."""
    before = glob[:at]
    return (len(before) - len(before.rstrip("\\"))) % 2 == 1


def _without_slash(ranges: list[tuple[str, str]]) -> list[tuple[str, str]]:
    parts = [part for low, high in ranges for part in ((low, min(high, ".")), (max(low, "0"), high))]
    return [(low, high) for low, high in parts if low <= high]


def _members(ranges: list[tuple[str, str]]) -> str:
    return "".join(_literal(low) if low == high else f"{_literal(low)}-{_literal(high)}" for low, high in ranges)


def _literals(text: str) -> str:
    return "".join(map(_literal, text))


def _literal(char: str) -> str:
    """The character itself, in and outside of a class."""
    return char if char.isalnum() or char == "/" else f"\\x{{{ord(char):x}}}"
