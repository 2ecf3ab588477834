/** The licences of every package whose code is in the bundle, found from what esbuild read. */
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";

const LICENCE_FILE = /^(licen[cs]e|notice|copying|thirdpartynotices)/i;
const PACKAGE_FOLDER = /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//;

const byText = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

async function describe(root, folder) {
  const manifest = JSON.parse(await readFile(path.join(root, folder, "package.json"), "utf8"));
  const names = (await readdir(path.join(root, folder))).filter((name) => LICENCE_FILE.test(name)).sort(byText);
  const texts = await Promise.all(names.map((name) => readFile(path.join(root, folder, name), "utf8")));
  const source = typeof manifest.repository === "string" ? manifest.repository : manifest.repository?.url;
  const heading = [`${manifest.name} ${manifest.version}`, `Licence: ${manifest.license ?? "see below"}`];
  if (source) heading.push(`Source: ${source.replace(/^git\+/, "")}`);
  return [heading.join("\n"), ...texts.map((text) => text.replaceAll("\r\n", "\n").trim())].join("\n\n");
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
  const parts = await Promise.all([...folders].map((folder) => describe(root, folder)));
  const rule = `\n\n${"-".repeat(100)}\n\n`;
  const opening = "The files in this folder contain code of these packages, under these licences.";
  return `${[opening, ...[...new Set(parts)].sort(byText)].join(rule)}\n`;
}
