/**
 * The API key's way into the page: `/graphql#key=sg_…`.
 *
 * A fragment never leaves the browser, so the key is in no request line and no log. This runs as a script of its own,
 * before the large bundle is even fetched, so that the key stands in the address bar for as short a time as possible.
 */
import { isKey, storeKey } from "./session";

function takeKeyFromFragment(): boolean {
  const key = new URLSearchParams(location.hash.slice(1)).get("key");
  if (key === null) return false;
  history.replaceState(history.state, "", location.pathname + location.search);
  const trimmed = key.trim();
  if (!isKey(trimmed)) return false;
  storeKey(trimmed);
  return true;
}

takeKeyFromFragment();

// Another link pasted over an open page changes only the fragment: the browser does not load the page again by itself.
addEventListener("hashchange", () => {
  if (takeKeyFromFragment()) location.reload();
});
