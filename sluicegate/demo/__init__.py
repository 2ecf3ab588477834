"""`sluicegate demo`: a real bucket becomes a dataset, live, with nothing but this installation."""

from __future__ import annotations

import asyncio
import signal
from contextlib import suppress
from importlib.util import find_spec

from sluicegate.core.errors import ConfigurationError

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def demo(*, stop: bool, port: int) -> None:
    """Plays the demo. `stop`: end when it is through, else keep GraphiQL open until Ctrl-C.

    Raises ConfigurationError without the extra `demo`, CommandFailedError when something did not go as it should.
    """
    if find_spec("moto") is None or find_spec("flask") is None:
        raise ConfigurationError(
            "The demo needs an S3 server of its own, which is not installed.",
            hint="Install it with: pip install 'sluicegate[demo]'",
        )
    with suppress(asyncio.CancelledError):
        asyncio.run(_play(stop=stop, port=port))


async def _play(*, stop: bool, port: int) -> None:
    from sluicegate.demo.story import play

    task = asyncio.current_task()
    assert task is not None
    # The servers end and the temporary directory goes. Ctrl-C too: asyncio's own way of it does nothing in a process
    # that began with the signal ignored, as shells do with what they start in the background.
    for number in _ENDING:
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await play(stop=stop, port=port)
