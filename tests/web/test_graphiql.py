"""The GraphiQL page in a real Chromium.

The `tab` fixture fails every test whose page asks another origin for anything, breaks its own Content-Security-Policy,
or reports an error on the console.
"""

import json

import pytest
from playwright.async_api import Route, WebSocket
from playwright.async_api import TimeoutError as PlaywrightTimeoutError

from tests.web.browser import Tab
from tests.web.conftest import Gateway

pytestmark = pytest.mark.browser

SHOWN_BELOW = "section.graphiql-editor-tool .graphiql-editor:visible"
"""The editor of variables or of headers, whichever is shown."""


async def test_the_key_of_the_link_runs_a_query(tab: Tab, gateway: Gateway) -> None:
    await tab.open(f"#key={gateway.key}")
    assert await tab.page.title() == "Sluicegate"
    await tab.run()
    answer = await tab.wait_for_text("response.json", '"viewer"')
    assert "errors" not in json.loads(answer)
    assert json.loads(await tab.text("request-headers.json")) == {"Authorization": f"Bearer {gateway.key}"}


async def test_the_key_leaves_the_address_bar_and_is_kept_in_the_session_only(tab: Tab, gateway: Gateway) -> None:
    async def hold(route: Route) -> None:
        # Nothing is drawn before the bundle has come, and it comes only when the key has left the address.
        await tab.page.wait_for_function("() => location.hash === ''")
        await tab.on_request(route)

    await tab.context.route("**/graphiql.js*", hold)
    await tab.open(f"#key={gateway.key}")
    assert tab.page.url == f"{gateway.url}/graphql"
    await tab.run()
    await tab.wait_for_text("response.json", '"viewer"')

    session = await tab.context.new_cdp_session(tab.page)
    history = await session.send("Page.getNavigationHistory")
    assert [entry["url"] for entry in history["entries"]] == ["about:blank", f"{gateway.url}/graphql"]
    assert gateway.key not in await tab.page.evaluate("JSON.stringify(localStorage)")
    assert await tab.context.cookies() == []
    kept = await tab.page.evaluate("Object.entries(sessionStorage).filter(([, value]) => value.includes('sg_'))")
    assert [name for name, _ in kept] == ["sluicegate:key"]

    await tab.page.reload()
    await tab.ready()
    assert gateway.key in await tab.text("request-headers.json")


async def test_a_second_link_in_an_open_page_replaces_the_key(tab: Tab, gateway: Gateway) -> None:
    tab.expected.append("401")
    await tab.open("#key=sg_of_another_gateway")
    await tab.page.get_by_text("The gateway refused this API key.").wait_for()
    async with tab.page.expect_event("load"):
        await tab.page.evaluate("(key) => { location.hash = `key=${key}`; }", gateway.key)
    await tab.ready()
    assert tab.page.url == f"{gateway.url}/graphql"
    assert gateway.key in await tab.text("request-headers.json")
    await tab.run()
    await tab.wait_for_text("response.json", '"viewer"')
    assert await tab.page.locator(".sluicegate-access").count() == 0


async def test_without_a_key_the_page_says_how_to_get_one(tab: Tab, gateway: Gateway) -> None:
    tab.expected.append("401")
    await tab.open()
    hint = tab.page.locator(".sluicegate-access")
    assert "sluicegate keys create" in await hint.inner_text()
    await hint.get_by_label("API key").fill("not a key")
    await hint.get_by_role("button", name="Use key").click()
    await hint.get_by_text("That is no API key.").wait_for()
    await hint.get_by_label("API key").fill(f" {gateway.key} ")
    async with tab.page.expect_event("load"):
        await hint.get_by_role("button", name="Use key").click()
    await tab.ready()
    assert await hint.count() == 0
    await tab.run()
    await tab.wait_for_text("response.json", '"viewer"')


async def test_a_subscription_streams_over_the_web_socket(tab: Tab, gateway: Gateway) -> None:
    sent: list[str] = []
    received: list[str] = []

    def follow(socket: WebSocket) -> None:
        socket.on("framesent", lambda frame: sent.append(str(frame)))
        socket.on("framereceived", lambda frame: received.append(str(frame)))

    tab.page.on("websocket", follow)
    await tab.open(f"#key={gateway.key}")
    await tab.select("WatchJob")
    await tab.write(SHOWN_BELOW, json.dumps({"id": gateway.job_id}))
    await tab.run()
    await tab.wait_for_text("response.json", '"SCHEDULED"')
    await gateway.go_on()
    await tab.wait_for_text("response.json", '"COMPLETED"', '"objectsSynced": 5')

    assert json.loads(sent[0]) == {"type": "connection_init", "payload": {"Authorization": f"Bearer {gateway.key}"}}
    states = [json.loads(frame)["payload"]["data"]["job"] for frame in received if '"next"' in frame]
    assert len(states) >= 2
    assert [state["revision"] for state in states] == sorted({state["revision"] for state in states})


async def test_stopping_a_subscription_ends_it_at_once(tab: Tab, gateway: Gateway) -> None:
    async with tab.page.expect_websocket() as opening:
        await tab.open(f"#key={gateway.key}")
        await tab.select("WatchJob")
        await tab.write(SHOWN_BELOW, json.dumps({"id": gateway.job_id}))
        await tab.run()
    socket = await opening.value
    await tab.wait_for_text("response.json", '"SCHEDULED"')
    async with socket.expect_event("close"):
        await tab.page.get_by_role("button", name="Stop query").click()


async def test_edited_headers_are_what_both_transports_send(tab: Tab, gateway: Gateway) -> None:
    tab.expected.append("401")
    await tab.open(f"#key={gateway.key}")
    await tab.select("WatchJob")
    await tab.page.get_by_role("button", name="Headers").click()
    edited = {"authorization": "Bearer sg_edited", "X-Namespace": "other", "X-Else": "1"}
    await tab.write(SHOWN_BELOW, json.dumps(edited))

    sent: list[str] = []
    tab.page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(str(frame))))
    await tab.run()
    await tab.wait_for_text("response.json", "closed the subscription", "4403")
    payload = {"Authorization": "Bearer sg_edited", "X-Namespace": "other"}
    assert json.loads(sent[0]) == {"type": "connection_init", "payload": payload}

    await tab.write(".graphiql-query-editor", "query Mine { viewer { scopes } }")
    await tab.page.get_by_role("tab", name="Mine").wait_for()
    async with tab.page.expect_request(lambda request: request.method == "POST") as asking:
        await tab.run()
    request = await asking.value
    headers = await request.all_headers()
    assert (headers["authorization"], headers["x-namespace"], headers["x-else"]) == ("Bearer sg_edited", "other", "1")
    await tab.page.get_by_text("The gateway refused this API key.").wait_for()


async def test_what_is_typed_does_not_outlive_the_browser_tab(tab: Tab, gateway: Gateway) -> None:
    await tab.open(f"#key={gateway.key}")
    await tab.select("CreateStorage")
    await tab.write(SHOWN_BELOW, '{"input": {"secret": "wJalrXUtnFEMI"}}')
    await tab.page.wait_for_function("() => JSON.stringify(sessionStorage).includes('wJalrXUtnFEMI')")
    assert "wJalrXUtnFEMI" not in await tab.page.evaluate("JSON.stringify(localStorage)")


async def test_the_editor_completes_from_the_schema(tab: Tab, gateway: Gateway) -> None:
    await tab.open(f"#key={gateway.key}")
    await tab.write(".graphiql-query-editor", "{ v")
    # Completion needs the schema to have reached the worker: ask until it has.
    suggestion = tab.page.locator(".suggest-widget .monaco-list-row", has_text="viewer")
    for _ in range(40):
        await tab.page.keyboard.press("Escape")
        await tab.page.keyboard.press("Control+Space")
        try:
            await suggestion.first.wait_for(timeout=500)
            break
        except PlaywrightTimeoutError:
            continue
    await suggestion.first.click()
    await tab.wait_for_text("operation.graphql", "viewer")


async def test_the_page_follows_the_system_between_light_and_dark(tab: Tab, gateway: Gateway) -> None:
    await tab.page.emulate_media(color_scheme="light")
    await tab.open(f"#key={gateway.key}")
    await tab.page.locator(".graphiql-query-editor .monaco-editor.vs").wait_for()
    await tab.page.emulate_media(color_scheme="dark")
    await tab.page.locator(".graphiql-query-editor .monaco-editor.vs-dark").wait_for()


async def test_the_explorer_adds_a_field(tab: Tab, gateway: Gateway) -> None:
    await tab.open(f"#key={gateway.key}")
    await tab.write(".graphiql-query-editor", "query Mine { viewer { scopes } }")
    await tab.page.get_by_role("button", name="Show GraphiQL Explorer").click()
    await tab.page.locator(".graphiql-explorer-root").get_by_text("providers", exact=True).click()
    await tab.wait_for_text("operation.graphql", "viewer", "providers")


async def test_the_docs_show_the_schema(tab: Tab, gateway: Gateway) -> None:
    await tab.open(f"#key={gateway.key}")
    await tab.page.get_by_role("button", name="Show Documentation Explorer").click()
    docs = tab.page.locator(".graphiql-doc-explorer")
    await docs.get_by_role("link", name="Query", exact=True).click()
    await docs.get_by_role("link", name="viewer", exact=True).click()
    await docs.get_by_role("link", name="Viewer", exact=True).wait_for()


async def test_the_watch_over_the_page_sees(tab: Tab, gateway: Gateway) -> None:
    """What every test above relies on: the `tab` fixture fails for each of these."""
    await tab.open(f"#key={gateway.key}")
    for deed, offence in (
        ("fetch('https://elsewhere.example/').catch(() => 0)", "connect-src"),
        ("new Image().src = 'https://elsewhere.example/pixel'", "img-src"),
        ("document.body.setAttribute('onclick', '1'); document.body.click()", "inline event handler"),
        ("setTimeout('1')", "unsafe-eval"),
        ("new Worker(URL.createObjectURL(new Blob(['1'])))", "worker-src"),
        ("Promise.reject(new Error('oops'))", "uncaught: oops"),
        ("location.assign('https://elsewhere.example/')", "another origin: https://elsewhere.example/"),
    ):
        await tab.page.evaluate(f"() => {{ {deed}; }}")
        assert any(offence in what for what in await tab.take_offences()), deed
