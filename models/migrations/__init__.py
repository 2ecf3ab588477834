"""Revisions of the schema. `models.migrate` applies them; CONTRIBUTING tells how to add one."""
