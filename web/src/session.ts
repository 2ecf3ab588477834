/** What the page keeps: everything typed stays in this browser tab (sessionStorage); only the look outlives it. */

const KEY = "sluicegate:key";

/** Characters that RFC 6750 allows in a bearer token. Anything else cannot go into the header. */
export const isKey = (text: string): boolean => /^[\w.~+/-]+=*$/.test(text);

export const storedKey = (): string | null => sessionStorage.getItem(KEY);

export function storeKey(key: string): void {
  sessionStorage.setItem(KEY, key);
}

const LASTING = new Set(["graphiql:theme", "graphiql:visiblePlugin"]);
const areaOf = (name: string): Storage => (LASTING.has(name) ? localStorage : sessionStorage);

/**
 * GraphiQL's store. Its default is localStorage, where the variables of `createStorage` (secrets of a bucket) would
 * stay readable after the browser was closed.
 */
export const pageStorage = {
  getItem: (name: string): string | null => areaOf(name).getItem(name),
  setItem: (name: string, value: string): void => areaOf(name).setItem(name, value),
  removeItem: (name: string): void => areaOf(name).removeItem(name),
  clear(): void {
    for (const area of [localStorage, sessionStorage])
      for (const name of Object.keys(area)) if (name.startsWith("graphiql:")) area.removeItem(name);
  },
  get length(): number {
    return sessionStorage.length;
  },
};
