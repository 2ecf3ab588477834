import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import inspect
from sqlalchemy.orm.exc import DetachedInstanceError

from models.access import ApiKey, Namespace
from models.base import Base
from models.database import ALL, Database
from models.jobs import Job
from models.objects import SyncedObject
from models.projects import Project
from models.storages import Storage
from models.wire import from_wire, to_wire
from resolvers.live import topics
from sluicegate.core.clock import now
from sluicegate.events import Hub
from sluicegate.events.messages import dumps

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)


async def filled(url: str) -> Database:
    """A database with a row of each kind that can be watched, and one of the catalogue."""
    database = Database(url)
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    async with database.write(ALL) as session:
        session.add(Namespace(id=1, name="default"))
        await session.flush()
        session.add(Project(id=1, namespace_id=1, name="p"))
        await session.flush()
        storage = Storage(
            id=1, namespace_id=1, project_id=1, type="S3", settings={"bucket": "b"}, sealed_secrets="sealed-value",
            credentials_set=["awsSecretAccessKey"], last_sync=MOMENT, row_rev=3,
        )  # fmt: skip
        session.add(storage)
        await session.flush()
        session.add(
            Job(id=1, namespace_id=1, job_class="SYNC_STORAGE", run_id="r", storage_id=1, row_rev=7, progress=0.1)
        )
        session.add(
            SyncedObject(
                id=1, namespace_id=1, project_id=1, storage_id=1, source_key=bytes(range(256)), status="SYNCED",
                path="😀\n", modality="IMAGE", fingerprint="f", data={"big": 2**70, "text": "é"},
                first_synced_at=MOMENT, synced_at=now(),
            )
        )  # fmt: skip
    return database


@pytest.mark.parametrize("cls", [Job, Storage, SyncedObject])
async def test_a_row_comes_back_as_it_was_but_for_its_secrets(database_url: str, cls: type[Any]) -> None:
    database = await filled(database_url)
    async with database.read(ALL) as session:
        row: Any = await session.get(cls, 1)
    await database.close()
    if cls is Job:
        row.tick = 5
    back = from_wire(cls, json.loads(dumps(to_wire(row))))
    columns = {column.key for column in inspect(cls).column_attrs} - {"sealed_secrets"}
    for name in columns:
        assert getattr(back, name) == getattr(row, name), name
        assert type(getattr(back, name)) is type(getattr(row, name)), name
    state = inspect(back)
    assert state.detached
    assert not state.modified
    if cls is Job:
        assert back.revision == row.revision == 7 * 4096 + 5


async def test_secrets_never_travel(tmp_path: Path) -> None:
    database = await filled(f"sqlite:///{tmp_path / 'rows.db'}")
    async with database.read(ALL) as session:
        storage = await session.get(Storage, 1)
        assert storage is not None
    await database.close()
    sent = dumps(to_wire(storage))
    assert "sealed" not in sent
    with pytest.raises(DetachedInstanceError):
        _ = from_wire(Storage, json.loads(sent)).sealed_secrets
    key = ApiKey(id=1, name="", prefix="", secret_hash="hash-value", scopes=[], created_at=MOMENT)
    assert "hash-value" not in dumps(to_wire(key))


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001
def test_times_are_exact(moment: datetime) -> None:
    row = Namespace(id=1, name="n", created_at=moment)
    assert from_wire(Namespace, json.loads(dumps(to_wire(row)))).created_at == moment


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=10,
    )
)
def test_json_of_every_shape_survives(value: Any) -> None:
    row = Project(id=1, namespace_id=1, name="n", object_schema={"value": value})
    assert from_wire(Project, json.loads(dumps(to_wire(row)))).object_schema == {"value": value}


def test_a_message_that_lacks_a_column_is_refused() -> None:
    values = to_wire(Namespace(id=1, name="n", created_at=MOMENT))
    del values["name"]
    with pytest.raises(KeyError):
        from_wire(Namespace, values)


async def test_jobs_and_storages_are_watched_over_the_database(database_url: str) -> None:
    database = await filled(database_url)
    hub = Hub("memory://", topics(database))
    await hub.start()
    async with hub.watch("job", 1) as jobs, hub.watch("storage", 1) as storages:
        assert (await anext(jobs)).revision == 7 * 4096
        assert (await anext(storages)).last_sync == MOMENT
        async with database.write(1) as session:
            job = await session.get(Job, 1)
            storage = await session.get(Storage, 1)
            assert job is not None
            assert storage is not None
            job.status, job.row_rev = "COMPLETED", 8
            storage.status, storage.row_rev = "COMPLETED", 4
        await hub.publish("job", job)
        await hub.publish("storage", storage)
        assert [state.status async for state in jobs] == ["COMPLETED"]
        state = await anext(storages)
        assert (state.status, state.settings) == ("COMPLETED", {"bucket": "b"})
        assert storages.end is None
    await hub.close()
    await database.close()
