/** The licences of every package whose code is in the bundle, found from what esbuild read. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

const LICENCE_FILE = /^(licen[cs]e|notice|copying|thirdpartynotices)/i;
const PACKAGE_FOLDER = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Packages that leave their licence's text out, and a package of the same project that has it. */
const TEXT_OF = new Map([
  ["@graphiql/plugin-doc-explorer", "graphiql"],
  ["@graphiql/plugin-explorer", "graphiql"],
  ["@graphiql/plugin-history", "graphiql"],
  ["react-compiler-runtime", "react"],
  ["react-remove-scroll-bar", "react-remove-scroll"],
]);

async function read(root, folder) {
  const manifest = JSON.parse(await readFile(path.join(root, folder, "package.json"), "utf8"));
  const names = (await readdir(path.join(root, folder))).filter((name) => LICENCE_FILE.test(name)).sort(byText);
  const texts = await Promise.all(names.map((name) => readFile(path.join(root, folder, name), "utf8")));
  const repository = typeof manifest.repository === "string" ? manifest.repository : (manifest.repository?.url ?? "");
  return {
    name: manifest.name,
    version: manifest.version,
    licence: manifest.license,
    source: repository.replace(/^git\+/, ""),
    text: texts.map((text) => text.replaceAll("\r\n", "\n").trim()).join("\n\n"),
  };
}

function textOf(item, items) {
  const text = item.text || items.find(({ name }) => name === TEXT_OF.get(item.name))?.text;
  if (!text) throw new Error(`${item.name} has no licence text: name in TEXT_OF whose it shares`);
  return text;
}

/** @param {string} root where node_modules is. @param {import("esbuild").Metafile[]} metafiles of all builds. */
export async function notice(root, metafiles) {
  const folders = new Set();
  for (const { outputs } of metafiles)
    for (const { inputs } of Object.values(outputs))
      for (const input of Object.keys(inputs)) {
        const found = PACKAGE_FOLDER.exec(input);
        if (found) folders.add(found[1]);
      }
  const items = await Promise.all([...folders].map((folder) => read(root, folder)));
  const parts = items.map((item) => {
    const heading = `${item.name} ${item.version}\nLicence: ${item.licence}\nSource: ${item.source}`;
    return `${heading}\n\n${textOf(item, items)}`;
  });
  const rule = `\n\n${"-".repeat(100)}\n\n`;
  const opening = "The files in this folder contain code of these packages, under these licences.";
  return `${[opening, ...[...new Set(parts)].sort(byText)].join(rule)}\n`;
}
