// Runs operations with the real clients and prints what they report, one JSON object a line.
// node client.mjs '{"protocol": "ws" | "sse", "url", "params", "operations": [{"query", "variables", "take"}]}'
// An operation with `take` unsubscribes after so many results. Lines: {id, event, value}; of the socket, {event, ...}.
import { createClient as createSseClient } from "graphql-sse";
import { createClient as createWsClient } from "graphql-ws";
import WebSocket from "ws";

const { protocol, url, params, operations } = JSON.parse(process.argv[2]);
const tell = (line) => console.log(JSON.stringify(line));

const client =
  protocol === "ws"
    ? createWsClient({
        url: url.replace("http", "ws"),
        webSocketImpl: WebSocket,
        connectionParams: params,
        retryAttempts: 0,
        keepAlive: 200,
        lazy: true,
        onNonLazyError: () => {},
        on: {
          connected: () => tell({ event: "connected" }),
          pong: () => tell({ event: "pong" }),
          closed: (event) => tell({ event: "closed", code: event.code, reason: event.reason }),
        },
      })
    : createSseClient({ url, headers: params, retryAttempts: 0 });

const plain = (error) =>
  Array.isArray(error)
    ? error.map((each) => ({ message: each.message, extensions: each.extensions }))
    : { code: error.code, message: error.reason ?? error.message, status: error.response?.status };

const run = ({ query, variables, take }, id) =>
  new Promise((resolve) => {
    let taken = 0;
    let unsubscribe = () => {};
    const done = (line) => {
      tell({ id, ...line });
      resolve();
    };
    unsubscribe = client.subscribe(
      { query, variables },
      {
        next: (value) => {
          tell({ id, event: "next", value });
          if (++taken === take) setTimeout(() => unsubscribe());
        },
        error: (error) => done({ event: "error", value: plain(error) }),
        complete: () => done({ event: "complete" }),
      },
    );
  });

await Promise.all(operations.map(run));
await client.dispose();
