/** Queries and mutations over POST, subscriptions over graphql-transport-ws; both at the page's own address. */
import type { Fetcher, FetcherParams, Observable } from "@graphiql/toolkit";
import { type ExecutionResult, getOperationAST, GraphQLError, parse } from "graphql";
import { createClient } from "graphql-ws";
import { connectionParams, hasCredentials, type Headers } from "./headers";

export type Access = "accepted" | "missing" | "refused";

interface Options {
  /** The headers to send when GraphiQL gives none: it asks for the schema before its editor has loaded. */
  headers: () => Headers;
  /** Told after each answer whether the gateway took the key. */
  onAccess: (access: Access) => void;
}

const failure = (message: string): ExecutionResult => ({ errors: [new GraphQLError(message)] });
/** Close codes for a connection without, or with a wrong, key. */
const UNAUTHORIZED = new Set([4401, 4403]);
/** Codes of an error of ours: the same again would end the same. */
const isRefusal = ({ code }: CloseEvent): boolean => code >= 4400 && code < 4500;
const denied = (headers: Headers): Access => (hasCredentials(headers) ? "refused" : "missing");

function isSubscription({ query, operationName }: FetcherParams): boolean {
  try {
    // Parsed here: the document that GraphiQL offers is some keystrokes old.
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false; // no GraphQL: the gateway's answer says where it is wrong
  }
}

async function post(params: FetcherParams, headers: Headers, onAccess: Options["onAccess"]): Promise<ExecutionResult> {
  let response: Response;
  try {
    response = await fetch(location.pathname, {
      method: "POST",
      headers: {
        "Content-Type": "application/json",
        Accept: "application/graphql-response+json, application/json",
        ...headers,
      },
      body: JSON.stringify(params),
    });
  } catch (error) {
    return failure(`No answer from the gateway: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (response.status === 401) onAccess(denied(headers));
  else if (response.ok) onAccess("accepted");
  if (/[/+]json\b/.test(response.headers.get("Content-Type") ?? "")) return (await response.json()) as ExecutionResult;
  const text = (await response.text()).trim().slice(0, 500);
  return failure(`HTTP ${response.status} ${response.statusText}${text ? `: ${text}` : ""}`);
}

/** What ended a subscription, as a result that the response pane can show. */
function explain(error: unknown): ExecutionResult {
  if (Array.isArray(error)) return { errors: error as GraphQLError[] };
  if (error instanceof CloseEvent) {
    const reason = error.reason || "no reason given";
    return failure(`The gateway closed the subscription: ${reason} (WebSocket code ${error.code}).`);
  }
  return failure(error instanceof Error ? error.message : "No answer from the gateway over a WebSocket.");
}

/** What GraphiQL subscribes with (the published type allows more forms than it uses). */
interface Observer {
  next(result: ExecutionResult): void;
  complete(): void;
}

function subscribe(params: FetcherParams, headers: Headers, onAccess: Options["onAccess"]): Observable<ExecutionResult> {
  const url = new URL(location.pathname, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  const { query, operationName, variables } = params;
  const payload = { query, operationName, variables: variables as Record<string, unknown> | undefined };
  return {
    subscribe(observer: Observer) {
      // A socket for each subscription: the headers may have been edited since the last one.
      let wasConnected = false;
      const client = createClient({
        url: url.href,
        connectionParams: connectionParams(headers),
        // A lost connection is made again; the gateway then sends the state as it is, so nothing is missed. One that
        // never came about, or that the gateway refused, is an answer to show.
        retryAttempts: 8,
        shouldRetry: (error) => wasConnected && !(error instanceof CloseEvent && isRefusal(error)),
        on: {
          connected: () => {
            wasConnected = true;
          },
        },
      });
      const stop = client.subscribe<Record<string, unknown>>(payload, {
        next(result) {
          onAccess("accepted");
          observer.next(result as ExecutionResult);
        },
        error(error) {
          if (error instanceof CloseEvent && UNAUTHORIZED.has(error.code)) onAccess(denied(headers));
          observer.next(explain(error));
          observer.complete();
        },
        complete: () => observer.complete(),
      });
      return { unsubscribe: stop };
    },
  } as Observable<ExecutionResult>;
}

export function createFetcher({ headers: fallback, onAccess }: Options): Fetcher {
  return (params, options) => {
    const headers = (options?.headers as Headers | undefined) ?? fallback();
    if (isSubscription(params)) return subscribe(params, headers, onAccess);
    return post(params, headers, onAccess);
  };
}
