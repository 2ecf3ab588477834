"""What a configuration adds to objects before they are written: contents compared, tags and metadata asked, mapped."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from time import monotonic
from typing import NamedTuple, TypeVar

from models import content_hashes
from models.catalogue import Details, ObjectRow
from models.content_hashes import ROW_HASH
from models.database import ALL
from sluicegate.core.errors import ErrorCode, RetriableError, RunError, SkippableError
from sluicegate.providers.base import Entry
from sluicegate.sync.changes import Changes
from sluicegate.sync.contents import Contents, identity_of
from sluicegate.sync.filters import BREATH_SECONDS
from sluicegate.sync.ledger import MAPPING, error_type_of
from sluicegate.sync.run import Run

MAX_FAILURES_IN_A_ROW = 5
"""So many objects in a row that cannot be asked about for a passing reason: then it is the source."""

T = TypeVar("T")
_AnswerT = TypeVar("_AnswerT")
_PAUSE_MASK = 31


class _Told(NamedTuple):
    """What the source tells of one file besides its listing."""

    tags: Mapping[str, str] | None
    metadata: Mapping[str, str] | None


async def detailed(run: Run, changes: Changes) -> Changes:
    """The changes with their details; what is a duplicate or fails is counted and left out.

    Raises RetriableError where the source itself seems to be out of reach.
    """
    plan, mapper = run.plan, run.plan.mapper
    if not changes.rows or (mapper is None and not plan.skip_duplicates):
        return changes
    hashes: Sequence[str | None] | None = None
    contents: Contents | None = None
    if plan.skip_duplicates:
        changes, known = await _hashed(run, changes)
        async with run.database.read(ALL) as session:
            held = await content_hashes.holders(session, plan.project_id, list(dict.fromkeys(known)))
        hashes, contents = known, Contents(held)
    told: dict[bytes, _Told | RunError] = {}
    if mapper is not None and (mapper.needs_tags or mapper.needs_metadata):
        keys = _worth_asking(changes, hashes, contents)
        told = dict(zip(keys, await _ask_all(run, keys, lambda key: _tell(run, key)), strict=True))
    return await _chosen(run, changes, hashes or [None] * len(changes.rows), contents, told)


async def _chosen(
    run: Run,
    changes: Changes,
    hashes: Sequence[str | None],
    contents: Contents | None,
    told: Mapping[bytes, _Told | RunError],
) -> Changes:
    """The changes with their details, without duplicates and what cannot be mapped.

    In this order, so that no content is left out for one that was not taken. Done for every object: kept to locals.
    """
    make, config = None if run.plan.mapper is None else run.plan.mapper.map, run.plan.sync_config_id
    assert config is not None
    dropped = set[int]()
    details: list[Details] = []
    breathed = monotonic()
    fields = blobs = None
    for place, (row, content) in enumerate(zip(changes.rows, hashes, strict=True)):
        if contents is not None and content is not None and contents.taken(row, content):
            run.progress.duplicate += 1
            dropped.add(place)
            continue
        tags = metadata = record = None
        if told:
            known = told[row[3]]
            if isinstance(known, RunError):
                _fail(run, changes, row, known)
                dropped.add(place)
                continue
            tags, metadata = known
        if make is not None:
            try:
                if row[12] is not None:
                    record = json.loads(row[12])
                fields, blobs = make(row[6], record, tags, metadata, row[8])
            except SkippableError as error:
                run.ledger.failed(row[3], row[4], row[6], error.message, error_type=MAPPING, whole=not run.plan.read)
                dropped.add(place)
                continue
        if contents is not None and content is not None:
            contents.take(row, content)
        details.append((config, fields, blobs, content))
        if not place & _PAUSE_MASK and monotonic() - breathed > BREATH_SECONDS:
            await asyncio.sleep(0)
            breathed = monotonic()
    kept = changes if not dropped else changes.only([at for at in range(len(changes.rows)) if at not in dropped])
    kept.details = details
    return kept


def _worth_asking(changes: Changes, hashes: Sequence[str | None] | None, contents: Contents | None) -> list[bytes]:
    """The keys of all but what is a duplicate whatever becomes of the others."""
    if contents is None or hashes is None:
        return list(dict.fromkeys(row[3] for row in changes.rows))
    changing = {identity_of(row) for row in changes.rows}
    pairs = zip(changes.rows, hashes, strict=True)
    return list(
        dict.fromkeys(row[3] for row, content in pairs if not contents.stays_taken(row, content or "", changing))
    )


async def _hashed(run: Run, changes: Changes) -> tuple[Changes, list[str]]:
    """The rows whose content can be told, and its hash for each."""
    found = await _hashes(run, changes.rows)
    chosen: list[int] = []
    hashes: list[str] = []
    for place, content in enumerate(found):
        if isinstance(content, RunError):
            _fail(run, changes, changes.rows[place], content)
            continue
        chosen.append(place)
        hashes.append(content)
    return (changes if len(chosen) == len(found) else changes.only(chosen)), hashes


async def _hashes(run: Run, rows: Sequence[ObjectRow]) -> list[str | RunError]:
    """Each row's content: a record's digest, what the provider knows of a file, else the MD5 of its bytes."""
    if run.plan.read:
        return [ROW_HASH + row[10] for row in rows]
    known: list[str | None] = [run.provider.content_hash(_entry(row)) for row in rows]
    unknown = [place for place, content in enumerate(known) if content is None]
    asked = await _ask_all(run, unknown, lambda place: _hash_body(run, _entry(rows[place])))
    read = dict(zip(unknown, asked, strict=True))
    return [read[place] if content is None else content for place, content in enumerate(known)]


async def _hash_body(run: Run, entry: Entry) -> str:
    async def read() -> str:
        digest, size = hashlib.md5(usedforsecurity=False), 0
        async with (
            run.provider.read(entry.key, fingerprint=entry.fingerprint) as content,
            aclosing(content.chunks()) as chunks,
        ):
            async for chunk in chunks:
                digest.update(chunk)
                size += len(chunk)
        return f"md5:{digest.hexdigest()}:{size}"

    return await run.pace.call(read)


async def _tell(run: Run, key: bytes) -> _Told:
    mapper, provider = run.plan.mapper, run.provider
    assert mapper is not None
    tags = metadata = None
    if mapper.needs_tags:
        tags = await run.pace.call(lambda: provider.tags(key))
    if mapper.needs_metadata:
        described = await run.pace.call(lambda: provider.stat(key))
        if described is None:
            raise SkippableError(
                "The file was deleted while it was looked at.", code=ErrorCode.PROVIDER_NOT_FOUND, provider_code="GONE"
            )
        metadata = described.metadata
    return _Told(tags, metadata)


async def _ask_all(run: Run, items: Sequence[T], ask: Callable[[T], Awaitable[_AnswerT]]) -> list[_AnswerT | RunError]:
    """The answers in order, asked `chunk_size` at a time and as many at once as the source takes."""
    answers: list[_AnswerT | RunError] = []
    in_a_row = 0
    for start in range(0, len(items), run.plan.chunk_size):
        for answer in await _gather(_answer(ask, item) for item in items[start : start + run.plan.chunk_size]):
            in_a_row = in_a_row + 1 if isinstance(answer, RetriableError) else 0
            if isinstance(answer, RetriableError) and in_a_row >= MAX_FAILURES_IN_A_ROW:
                raise answer
            answers.append(answer)
    return answers


async def _answer(ask: Callable[[T], Awaitable[_AnswerT]], item: T) -> _AnswerT | RunError:
    try:
        return await ask(item)
    except (SkippableError, RetriableError) as error:
        return error


async def _gather(answers: Iterable[Awaitable[T]]) -> list[T]:
    """As asyncio.gather, but that nothing is left running when one of them raises."""
    tasks = [asyncio.ensure_future(answer) for answer in answers]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _fail(run: Run, changes: Changes, row: ObjectRow, error: RunError) -> None:
    kind, attempts = error_type_of(error)
    run.ledger.failed(
        row[3], row[4], row[6], error.message, error_type=kind, attempts=attempts, whole=not run.plan.read
    )
    changes.again.add(row[3])


def _entry(row: ObjectRow) -> Entry:
    return Entry(row[3], row[7], row[11], row[10], row[6], row[8])
