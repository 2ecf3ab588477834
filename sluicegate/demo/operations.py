"""The GraphQL of the demo: what a front end would send."""

from __future__ import annotations

from sluicegate.cli.progress import JOB_FIELDS

_ERRORS = "errors { ... on UserError { code message path } ... on ProviderError { providerCode hint } }"

CREATE_PROJECT = f"""
mutation CreateProject($input: CreateProjectInput!) {{
  createProject(input: $input) {{ project {{ id name }} {_ERRORS} }}
}}
"""

CREATE_STORAGE = f"""
mutation CreateStorage($input: CreateStorageInput!) {{
  createStorage(input: $input) {{ storage {{ id title credentialsSet }} {_ERRORS} }}
}}
"""

VALIDATE_STORAGE = f"""
mutation ValidateStorage($id: ID!) {{
  validateStorage(input: {{ id: $id }}) {{ ok checks {{ name status detail milliseconds }} {_ERRORS} }}
}}
"""

SYNC_STORAGE = f"""
mutation SyncStorage($id: ID!) {{
  syncStorage(input: {{ id: $id }}) {{ job {{ {JOB_FIELDS} }} {_ERRORS} }}
}}
"""

WATCH_JOB = f"subscription WatchJob($id: ID!) {{ job(id: $id) {{ {JOB_FIELDS} }} }}"

DATASET = """
query Dataset($id: ID!) {
  project(id: $id) {
    stats { objects bytes missing byModality { modality objects bytes } }
    objects(first: 1, filter: { modality: [IMAGE], status: [SYNCED] }) { nodes { path sizeBytes mimeType url } }
  }
}
"""
