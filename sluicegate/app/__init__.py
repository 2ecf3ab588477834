"""The running gateway: its parts in order, its HTTP application, its server."""

from sluicegate.app.factory import create_app

__all__ = ["create_app"]
