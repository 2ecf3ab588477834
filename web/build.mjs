/**
 * Builds the GraphiQL page into ../sluicegate/static/graphiql, which is committed: `npm run build`.
 *
 * The output is a function of the sources and the lock file alone (no times, no paths of this machine, no source maps),
 * so that CI can build it again and compare.
 */
import { createHash } from "node:crypto";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { notice } from "./notice.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const outdir = path.join(here, "../sluicegate/static/graphiql");

const shared = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  write: false,
  metafile: true,
  outdir,
  entryNames: "[name]",
  assetNames: "[name]",
  target: ["chrome110", "firefox115", "safari16.4"],
  // `require("graphql")` of the explorer must get the same module as `import`: two copies refuse each other's schemas.
  mainFields: ["browser", "module", "main"],
  resolveExtensions: [".mjs", ".js", ".tsx", ".ts", ".json"],
  conditions: ["browser", "module"],
  define: { "process.env.NODE_ENV": '"production"' },
  jsx: "automatic",
  loader: { ".ttf": "file", ".graphql": "text", ".jsonc": "text" },
  legalComments: "none", // all of them are in NOTICE
  logLevel: "warning",
  charset: "utf8",
};

const builds = await Promise.all([
  build({ ...shared, format: "esm", entryPoints: [{ in: "src/main.tsx", out: "graphiql" }] }),
  build({ ...shared, format: "iife", entryPoints: ["src/key.ts"] }),
  build({
    ...shared,
    format: "iife",
    entryPoints: [
      { in: "monaco-editor/esm/vs/editor/editor.worker.js", out: "editor.worker" },
      { in: "monaco-editor/esm/vs/language/json/json.worker.js", out: "json.worker" },
      { in: "monaco-graphql/esm/graphql.worker.js", out: "graphql.worker" },
    ],
  }),
]);

const files = new Map();
for (const { outputFiles } of builds)
  for (const file of outputFiles) files.set(path.relative(outdir, file.path), file.contents);
files.set("favicon.svg", await readFile(path.join(here, "src/favicon.svg")));
files.set("NOTICE", Buffer.from(await notice(here, builds.map((result) => result.metafile))));

const digest = createHash("sha256");
for (const name of [...files.keys()].sort()) digest.update(name).update("\0").update(files.get(name));
const version = digest.digest("hex").slice(0, 16);
const page = await readFile(path.join(here, "src/index.html"), "utf8");
files.set("index.html", Buffer.from(page.replaceAll("%VERSION%", version)));

await rm(outdir, { recursive: true, force: true });
await mkdir(outdir, { recursive: true });
for (const [name, contents] of files) {
  await writeFile(path.join(outdir, name), contents);
  console.log(`${String(contents.length).padStart(9)}  ${name}`);
}
if (process.env.METAFILE) await writeFile(process.env.METAFILE, JSON.stringify(builds.map((result) => result.metafile)));
