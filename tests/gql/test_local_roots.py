"""A folder of the machine is for the namespace that the operator named, not for whoever takes its name first."""

from pathlib import Path

import pytest

from tests.gql.tenants import CREATE_LOCAL
from tests.support.gateway import running_gateway

NAMESPACE = (
    "mutation($name: String!) { createNamespace(input: {name: $name}) { namespace { id } errors { code path } } }"
)
KEY = 'mutation { createApiKey(input: {name: "theirs", scopes: [ADMIN]}) { secret } }'
PROJECT = 'mutation { createProject(input: {name: "p"}) { project { id } } }'


@pytest.mark.parametrize("operator", [False, True])
async def test_the_name_of_a_folder_is_kept_for_the_operator(tmp_path: Path, operator: bool) -> None:
    (tmp_path / "media").mkdir()
    async with running_gateway(worker=False, local_roots=f"media={tmp_path / 'media'}") as gateway:
        await gateway.data(NAMESPACE, {"name": "tenant"})
        tenant = (await gateway.data(KEY, namespace="tenant"))["createApiKey"]["secret"]
        key, namespace = (gateway.key, "default") if operator else (tenant, "tenant")
        made = (await gateway.data(NAMESPACE, {"name": "media"}, key=key, namespace=namespace))["createNamespace"]
        if not operator:
            assert made == {"namespace": None, "errors": [{"code": "FORBIDDEN", "path": ["name"]}]}
            assert (await gateway.data(NAMESPACE, {"name": "other"}, key=key))["createNamespace"]["errors"] == []
            return
        project = (await gateway.data(PROJECT, namespace="media"))["createProject"]["project"]["id"]
        values = {"project": project, "path": "", "title": ""}
        assert (await gateway.data(CREATE_LOCAL, values, namespace="media"))["createStorage"]["errors"] == []
