"""`sluicegate sync` against a running gateway and a real bucket."""

import pytest

from tests.app.storages import create_storage
from tests.support.command import sluicegate_async
from tests.support.gateway import running_gateway
from tests.support.moto_server import MotoServer

pytestmark = pytest.mark.slow


async def test_it_syncs_and_shows_the_progress_to_the_end(moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {f"files/{number}.txt": b"text" for number in range(25)})
    async with running_gateway(allowed_endpoints="127.0.0.1") as gateway:
        storage = await create_storage(gateway, moto, bucket, useBlobUrls=True)
        env = {"SLUICEGATE_URL": gateway.url, "SLUICEGATE_KEY": gateway.key}
        ended = await sluicegate_async("sync", storage, "--watch", "--json", env=env)
        assert ended.code == 0, ended.err
        assert ended.json["status"] == "COMPLETED"
        assert ended.json["sync"]["objectsSynced"] == 25
        assert "25 synced" in ended.err
        assert gateway.key not in ended.out + ended.err
        # The process's metrics say what was done.
        text = (await gateway.http.get("/metrics")).text
        assert 'sluicegate_sync_objects_total{outcome="synced"}' in text
        assert 'sluicegate_jobs_finished_total{job_class="SYNC_STORAGE",status="COMPLETED"}' in text
        assert 'sluicegate_graphql_operation_duration_seconds_count{operation="mutation",outcome="ok"}' in text


async def test_its_exit_code_tells_how_the_job_ended(moto: MotoServer, bucket: str) -> None:
    moto.put(bucket, {"good.json": b'{"a": 1}', "broken.json": b'{"a": '})
    async with running_gateway(allowed_endpoints="127.0.0.1") as gateway:
        env = {"SLUICEGATE_URL": gateway.url, "SLUICEGATE_KEY": gateway.key}
        storage = await create_storage(gateway, moto, bucket)
        partly = await sluicegate_async("sync", storage, "--watch", env=env)
        assert partly.code == 5, partly.err
        assert "broken.json" in partly.err
        unknown = await sluicegate_async("sync", "U3RvcmFnZTo5OTk", "--watch", env=env)
        assert unknown.code == 1
        assert "No storage" in unknown.err
        refused = await sluicegate_async("sync", storage, env={**env, "SLUICEGATE_KEY": "sg_revoked_or_made_up_key"})
        assert refused.code == 1
        assert "keys create" in refused.err
