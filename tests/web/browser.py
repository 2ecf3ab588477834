"""A real Chromium, and a page of it that remembers everything it should not have done."""

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Route, WebSocket, async_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Not even a request that Playwright would not see gets anywhere.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]


class ChromiumMissingError(RuntimeError):
    """The page is tested in a real Chromium: install Debian's package `chromium`, or Chrome."""

    def __init__(self) -> None:
        super().__init__(self.__doc__)


def chromium_path() -> str:
    """Where the browser is. Raises ChromiumMissingError."""
    for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"):
        found = shutil.which(name)
        if found is not None:
            return found
    raise ChromiumMissingError


@dataclass
class Tab:
    """A browser tab on the gateway's page."""

    page: Page
    context: BrowserContext
    origin: str
    offences: list[str] = field(default_factory=list[str])
    expected: list[str] = field(default_factory=list[str])
    """Patterns of console errors that the test provokes."""
    offended: asyncio.Event = field(default_factory=asyncio.Event)

    def _offend(self, what: str) -> None:
        self.offences.append(what)
        self.offended.set()

    async def take_offences(self) -> list[str]:
        """The offences so far, waiting for the first; they no longer count."""
        async with asyncio.timeout(20):
            await self.offended.wait()
        self.offended.clear()
        taken, self.offences = self.offences, []
        return taken

    async def guard(self) -> None:
        await self.context.route("**/*", self.on_request)
        self.page.on("console", self._on_console)
        self.page.on("pageerror", lambda error: self._offend(f"uncaught: {error.message}"))
        self.page.on("websocket", self._on_socket)

    def _check_address(self, url: str) -> bool:
        parts = urlsplit(url)
        inside = parts.scheme == "data" or parts.netloc == urlsplit(self.origin).netloc
        if not inside:
            self._offend(f"request to another origin: {url}")
        return inside

    def _on_socket(self, socket: WebSocket) -> None:
        self._check_address(socket.url)

    async def on_request(self, route: Route) -> None:
        if self._check_address(route.request.url):
            await route.continue_()
        else:
            await route.abort()

    def _on_console(self, message: ConsoleMessage) -> None:
        serious = message.type == "error" or "Content Security Policy" in message.text
        if serious and not any(re.search(pattern, message.text) for pattern in self.expected):
            self._offend(f"console: {message.text}")

    async def open(self, fragment: str = "") -> None:
        """Open the page and wait until its schema has come and the editor takes input."""
        await self.page.goto(f"{self.origin}/graphql{fragment}")
        await self.ready()

    async def ready(self) -> None:
        await self.page.locator(".graphiql-query-editor .view-line").first.wait_for()
        await self.page.wait_for_function(
            "() => __MONACO.editor.getModels().some((model) => model.uri.path.endsWith('request-headers.json'))"
        )

    async def text(self, name: str) -> str:
        """What an editor holds: operation.graphql, variables.json, request-headers.json or response.json."""
        return await self.page.evaluate(
            "(name) => __MONACO.editor.getModels().find((model) => model.uri.path.endsWith(name)).getValue()", name
        )

    async def wait_for_text(self, name: str, *parts: str) -> str:
        """The editor's text once it has all the parts."""
        await self.page.wait_for_function(
            """([name, parts]) => {
                const model = __MONACO.editor.getModels().find((model) => model.uri.path.endsWith(name));
                return parts.every((part) => model.getValue().includes(part));
            }""",
            arg=[name, parts],
        )
        return await self.text(name)

    async def write(self, editor: str, text: str) -> None:
        """Replace an editor's text as a person would: click, select all, paste (typing would close brackets)."""
        await self.page.locator(f"{editor} .view-lines").click()
        await self.page.keyboard.press("Control+A")
        await self.page.evaluate(
            """(text) => __MONACO.editor.getEditors().find((editor) => editor.hasTextFocus())
                .trigger("keyboard", "paste", { text })""",
            text,
        )

    async def select(self, title: str) -> None:
        """Go to a tab of GraphiQL by its title."""
        await self.page.get_by_role("tab", name=title).click()

    async def run(self) -> None:
        await self.page.get_by_role("button", name="Execute query").click()


@asynccontextmanager
async def running_browser() -> AsyncGenerator[Browser]:
    """Chromium with a profile of its own, which is empty."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium_path(), args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def open_tab(browser: Browser, origin: str) -> AsyncGenerator[Tab]:
    """A tab that shares nothing with those before it. Leaving fails when the page did what it should not."""
    context = await browser.new_context(viewport={"width": 1440, "height": 900})
    try:
        context.set_default_timeout(20_000)
        tab = Tab(await context.new_page(), context, origin)
        await tab.guard()
        yield tab
    finally:
        await context.close()
    assert tab.offences == []
