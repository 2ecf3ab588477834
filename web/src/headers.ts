/** The headers editor is the one source of what is sent, over HTTP and over the WebSocket. */
import { parse } from "jsonc-parser";

export type Headers = Record<string, string>;

/** The text that the headers editor starts with. It is JSON with comments, as GraphiQL reads it. */
export function headersText(key: string | null): string {
  if (key === null) return '{\n  // "Authorization": "Bearer sg_…"\n}';
  return JSON.stringify({ Authorization: `Bearer ${key}` }, null, 2);
}

/** Headers out of the editor's text. Text that is no JSON object gives none: GraphiQL itself reports the mistake. */
export function readHeaders(text: string): Headers {
  const value: unknown = parse(text, [], { allowTrailingComma: true });
  if (typeof value !== "object" || value === null || Array.isArray(value)) return {};
  return Object.fromEntries(Object.entries(value).map(([name, content]) => [name, String(content)]));
}

const CONNECTION_HEADERS = ["Authorization", "X-Namespace"];

/** The `connection_init` payload: a browser cannot set headers on a WebSocket. */
export function connectionParams(headers: Headers): Headers {
  const byLowerName = new Map(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
  const params: Headers = {};
  for (const name of CONNECTION_HEADERS) {
    const value = byLowerName.get(name.toLowerCase());
    if (value !== undefined) params[name] = value;
  }
  return params;
}

export const hasCredentials = (headers: Headers): boolean => "Authorization" in connectionParams(headers);
