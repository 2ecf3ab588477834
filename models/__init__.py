"""Tables, sessions, keyset queries, status transitions and migrations: all SQL of Sluicegate is in this package."""

from models import access, jobs, objects, projects, storages

__all__ = ["access", "jobs", "objects", "projects", "storages"]
