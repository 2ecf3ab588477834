"""What the docs promise of runs over one small bucket, said again as simply as can be: no chunks, no commits."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from models.ranges import EVERYTHING, KeyRange

Place = tuple[bytes, int]


@dataclass
class Owner:
    """A storage's own sync (`number` None) or a configuration, with its options."""

    number: int | None
    range: KeyRange = EVERYTHING
    exclude: str | None = None
    mapping: int | None = None
    noted: int | None = None
    keep: bool = False
    on_delete: str = "MARK"
    confirm: bool = False
    unique: bool = False
    rescan: bool = False

    def wants(self, key: bytes) -> bool:
        """Whether the filters let it pass."""
        return self.exclude is None or self.exclude.encode() not in key

    def fields(self, key: bytes) -> dict[str, Any] | None:
        """What the mapping makes of it. Raises KeyError where it fails."""
        if self.mapping is None:
            return None
        if b"9." in key or not key.endswith(b".jsonl"):
            raise KeyError
        return {"id": key[-7:-6].decode(), "v": self.mapping}


@dataclass
class Shown:
    """One record as the catalogue has it."""

    status: str
    content: str
    owner: int | None
    fields: dict[str, Any] | None


@dataclass
class Source:
    """A file that was read."""

    content: bytes | None
    records: int
    staged: bool


@dataclass
class Model:
    """The catalogue. `told`: what the last run said of single records; `waits`: job → what its confirmation judges."""

    read: bool
    bucket: dict[bytes, bytes] = field(default_factory=dict[bytes, bytes])
    shown: dict[Place, Shown] = field(default_factory=dict[Place, Shown])
    versions: dict[Place, Shown] = field(default_factory=dict[Place, Shown])
    sources: dict[bytes, Source] = field(default_factory=dict[bytes, Source])
    letters: dict[Place, tuple[str, int | None]] = field(default_factory=dict[Place, tuple[str, int | None]])
    waits: dict[int, tuple[KeyRange, set[Place]]] = field(default_factory=dict[int, tuple[KeyRange, set[Place]]])
    counts: Counter[str] = field(default_factory=Counter[str])
    told: Counter[tuple[str, bytes, int]] = field(default_factory=Counter[tuple[str, bytes, int]])

    def run(self, owner: Owner, job: int, *, full: bool = False, keys: set[bytes] | None = None) -> None:
        """A run over everything, or over `keys`, from its beginning to its end."""
        self.counts, self.told = Counter(), Counter()
        here = [key for key in sorted(self.bucket) if owner.range.covers(key) and (keys is None or key in keys)]
        self._prepare(owner, keys)
        if not any(owner.range.covers(key) for key in (*(key for key, _ in self.shown), *self.sources)):
            owner.noted = owner.mapping
        full |= owner.mapping != owner.noted
        failed: set[Place] = set()
        looked: set[bytes] = set()
        gone: set[Place] = set()
        for key in here:
            if not owner.wants(key):
                self.counts["filtered"] += 1
            elif self.read:
                gone |= self._file(owner, key, failed, looked, full=full, again=keys is not None)
            else:
                looked.add(key)
                self._record(owner, (key, 0), self.bucket[key].decode(), failed, full=full)
        gone |= self._gone(owner, keys)
        self._judge(owner, job, gone, strays=keys is None)
        self._settle(owner, failed, looked, keys)
        if keys is None:
            owner.noted, owner.rescan = owner.mapping, False

    def _prepare(self, owner: Owner, keys: set[bytes] | None) -> None:
        for number, (of, places) in list(self.waits.items()):
            if keys is not None:
                places -= {place for place in places if place[0] in keys and owner.range.covers(place[0])}
            elif of.meets(owner.range):
                for key, _ in places:
                    if key in self.sources:
                        self.sources[key].content = None
                del self.waits[number]
        if not owner.confirm:
            for place in [place for place in self.versions if owner.range.covers(place[0])]:
                del self.versions[place]
                if place[0] in self.sources:
                    self.sources[place[0]].content = None

    def _file(
        self, owner: Owner, key: bytes, failed: set[Place], looked: set[bytes], *, full: bool, again: bool
    ) -> set[Place]:
        if not key.endswith(b".jsonl"):
            self.counts["filtered"] += 1
            return set()
        body, known = self.bucket[key], self.sources.get(key)
        if known and known.content == body and (owner.confirm or not known.staged) and not (full or again):
            self.counts["unchanged"] += max(1, known.records)
            return set()
        looked.add(key)
        lines = body.decode().splitlines()
        for row, line in enumerate(lines):
            if line.startswith("{"):
                self._fail((key, row), owner, failed)
            else:
                self._record(owner, (key, row), line, failed, full=full)
        if not lines:
            self.counts["filtered"] += 1
        self.sources[key] = Source(body, len(lines), owner.confirm)
        return self._leave(owner, {place for place in self.shown if place[0] == key and place[1] >= len(lines)})

    def _record(self, owner: Owner, place: Place, content: str, failed: set[Place], *, full: bool) -> None:
        old = self.shown.get(place)
        newest = (self.versions.get(place) if owner.confirm else None) or old
        there = newest is not None and (
            newest.status == "SYNCED" or (owner.confirm and newest.status in ("STAGED", "VERSION"))
        )
        if newest is not None and there and (owner.keep or (newest.content == content and not full)):
            self.counts["unchanged"] += 1
            return
        if owner.unique and self._held(place, content):
            self.counts["duplicate"] += 1
            return
        try:
            fields = owner.fields(place[0])
        except KeyError:
            self._fail(place if self.read else (place[0], -1), owner, failed)
            return
        new = newest is None or (newest.status == "STAGED" and not owner.confirm)
        self.counts["added" if new else "updated"] += 1
        self.told["ADDED" if new else "UPDATED", *place] += 1
        if not owner.confirm:
            self.shown[place] = Shown("SYNCED", content, owner.number, fields)
        elif old is None or (old.status == "STAGED" and place not in self.versions):
            self.shown[place] = Shown("STAGED", content, owner.number, fields)
        else:
            self.versions[place] = Shown("VERSION", content, owner.number, fields)

    def _held(self, place: Place, content: str) -> bool:
        held = [*self.shown.items(), *self.versions.items()]
        return any(other != place and has.content == content and has.status != "MISSING" for other, has in held)

    def _fail(self, letter: Place, owner: Owner, failed: set[Place]) -> None:
        self.counts["failed"] += 1
        self.told["FAILED", letter[0], max(0, letter[1])] += 1
        failed.add(letter)
        given_up = self.letters.get(letter, ("", None))[0] == "DISCARDED"
        self.letters[letter] = ("DISCARDED" if given_up else "QUARANTINED", owner.number)

    def _gone(self, owner: Owner, keys: set[bytes] | None) -> set[Place]:
        known = set(self.sources) if self.read else {key for key, _ in self.shown}
        gone = {key for key in known - set(self.bucket) if owner.range.covers(key) and (keys is None or key in keys)}
        left = self._leave(owner, {place for place in self.shown if place[0] in gone})
        if owner.on_delete != "IGNORE":
            self._forget(gone)
        return left

    def _leave(self, owner: Owner, places: set[Place]) -> set[Place]:
        """Of what is not in the source: what was never shown goes at once; the rest is returned."""
        if not owner.confirm or owner.on_delete != "IGNORE":
            for place in places:
                if self.shown[place].status == "STAGED":
                    del self.shown[place]
                self.versions.pop(place, None)
        if owner.on_delete == "IGNORE":
            return set()
        return {place for place in places if place in self.shown and self.shown[place].status == "SYNCED"}

    def _judge(self, owner: Owner, job: int, gone: set[Place], *, strays: bool) -> None:
        if owner.rescan and strays:
            outside = {place for place in self.shown if not owner.range.covers(place[0])}
            for place in outside:
                if self.shown[place].status == "STAGED" and self.shown[place].owner == owner.number:
                    del self.shown[place]
            for place, has in list(self.versions.items()):
                if not owner.range.covers(place[0]) and has.owner == owner.number:
                    del self.versions[place]
            for key, source in self.sources.items():
                if not owner.range.covers(key) and source.staged:
                    source.content = None
            if owner.on_delete != "IGNORE":
                mine = {place for place in outside & self.shown.keys() if self.shown[place].owner == owner.number}
                gone |= {place for place in mine if self.shown[place].status == "SYNCED"}
        self.counts["missing"] += len(gone)
        self.told.update(("MISSING", *place) for place in gone)
        if owner.confirm:
            self.waits[job] = (owner.range, gone)
        else:
            self._apply(gone, owner)

    def _apply(self, gone: set[Place], owner: Owner) -> None:
        for place in gone:
            if place in self.shown and self.shown[place].status == "SYNCED":
                self.shown[place].status = "MISSING"
                if owner.on_delete == "REMOVE":
                    del self.shown[place]
        self._forget({key for key, _ in gone})

    def _forget(self, keys: set[bytes]) -> None:
        there = {key for (key, _), has in self.shown.items() if has.status in ("SYNCED", "STAGED")}
        for key in keys - there:
            self.sources.pop(key, None)

    def _settle(self, owner: Owner, failed: set[Place], looked: set[bytes], keys: set[bytes] | None) -> None:
        for (key, row), (status, of) in self.letters.items():
            if not owner.range.covers(key) or (keys is not None and key not in keys) or (key, row) in failed:
                continue
            # A file that is there is looked into, unchanged and not opened, or left out by a rule.
            opened = key not in self.bucket or key in looked
            foreign = not owner.wants(key) and of != owner.number
            if status in ("QUARANTINED", "REQUEUED") and (opened or (not owner.wants(key) and not foreign)):
                self.letters[key, row] = ("RESOLVED", of)

    def confirm(self, owner: Owner, job: int) -> None:
        """Shows what waits."""
        self.counts = Counter()
        for place, has in list(self.versions.items()):
            if has.owner == owner.number:
                self.counts["updated"] += 1
                self.shown[place] = Shown("SYNCED", has.content, has.owner, has.fields)
                del self.versions[place]
        for has in self.shown.values():
            if has.status == "STAGED" and has.owner == owner.number:
                self.counts["added"] += 1
                has.status = "SYNCED"
        gone = self.waits.pop(job, (EVERYTHING, set[Place]()))[1]
        self.counts["missing"] += len(gone)
        self._apply(gone, owner)


def mapping(version: int | None) -> dict[str, Any] | None:
    """The schema mapping of a version: files of a name that ends in 9 fail."""
    if version is None:
        return None
    pattern = {"type": "FILENAME_REGEX", "pattern": r"([0-8])\.jsonl"}
    constant = {"type": "CONSTANT", "value": version}
    return {"mappings": [
        {"target": "id", "targetType": "FIELD", "source": pattern, "required": True},
        {"target": "v", "targetType": "FIELD", "source": constant},
    ]}  # fmt: skip


def line(number: int) -> bytes:
    """A row of a file: a record, or none."""
    return b"{broken\n" if number == 7 else json.dumps(number).encode() + b"\n"
