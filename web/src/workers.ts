/** Monaco's workers: files beside this bundle, so that the page's policy can be `worker-src 'self'` without `blob:`. */

const FILES: Record<string, string> = { graphql: "graphql.worker.js", json: "json.worker.js" };

self.MonacoEnvironment = {
  getWorker(_moduleId: string, label: string): Worker {
    const url = new URL(FILES[label] ?? "editor.worker.js", import.meta.url);
    url.search = new URL(import.meta.url).search; // the build's version, for the browser's cache
    return new Worker(url, { name: label });
  },
};
