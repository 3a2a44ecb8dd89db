// Bundle each entry of scripts/vendored; see scripts/vendor_javascript.

import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { build, version } from "esbuild";

const ENTRIES = "scripts/vendored";
const TARGET = "airflow_provider_pushmetrics/service/web/page/assets/vendored";
/** What the metadata of the wheel says of vendored files: `license` in setup.cfg. */
const LICENSES = ["BSD-3-Clause", "ISC", "MIT"];

/** @type {(content: string) => string} */
const hash = (content) => createHash("sha256").update(content).digest("hex");

/** @type {(folder: string) => { name: string, version: string, license: string }} */
function readPackage(folder) {
  const { name, version, license } = JSON.parse(readFileSync(`${folder}/package.json`, "utf8"));
  if (!LICENSES.includes(license)) throw new Error(`${name} has the license ${license}: see setup.cfg`);
  return { name, version, license };
}

/** @type {(folder: string) => string} */
function readLicense(folder) {
  const file = readdirSync(folder).find((name) => /^licen[cs]e/i.test(name));
  if (!file) throw new Error(`${folder} has no file with its license`);
  return readFileSync(`${folder}/${file}`, "utf8").trim();
}

/** @type {(inputs: string[]) => string[]} */
function findFolders(inputs) {
  const folders = inputs.flatMap((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/) ?? []);
  return [...new Set(folders)].sort();
}

/** @type {(stem: string) => Promise<{ files: Record<string, string>, facts: object }>} */
async function bundle(stem) {
  const license = `LICENSE-${stem}.txt`;
  const result = await build({
    entryPoints: [`${ENTRIES}/${stem}.js`],
    banner: { js: `/*! Made by scripts/vendor_javascript; licenses: ${license} */` },
    bundle: true,
    charset: "utf8",
    format: "esm",
    legalComments: "none",
    metafile: true,
    minify: true,
    target: "es2022",
    write: false,
  });
  const folders = findFolders(Object.keys(result.metafile.inputs));
  const packages = folders.map(readPackage);
  const texts = folders.map((folder, index) => {
    const { name, version, license: kind } = packages[index];
    return `${name} ${version} (${kind})\n\n${readLicense(folder)}\n`;
  });
  const files = {
    [`${stem}.js`]: result.outputFiles[0].text,
    [license]: texts.join(`\n${"-".repeat(80)}\n\n`),
  };
  const hashes = Object.fromEntries(Object.entries(files).map(([name, content]) => [name, hash(content)]));
  return { files, facts: { bundler: `esbuild ${version}`, sha256: hashes, packages } };
}

const stems = readdirSync(ENTRIES)
  .filter((name) => name.endsWith(".js"))
  .map((name) => name.replace(/\.js$/, ""))
  .sort();
const bundles = await Promise.all(stems.map(bundle));
const facts = Object.fromEntries(stems.map((stem, index) => [stem, bundles[index].facts]));
/** @type {Record<string, string>} */
const files = Object.assign(
  { "vendored.json": `${JSON.stringify(facts, null, 2)}\n` },
  ...bundles.map((one) => one.files),
);

if (process.argv.includes("--check")) {
  const present = existsSync(TARGET) ? readdirSync(TARGET).filter((name) => !name.endsWith(".d.ts")) : [];
  const names = new Set([...present, ...Object.keys(files)]);
  const wrong = [...names].filter(
    (name) => !present.includes(name) || readFileSync(`${TARGET}/${name}`, "utf8") !== files[name],
  );
  if (wrong.length) {
    console.error(`${TARGET} differs in ${wrong.join(", ")}: run scripts/vendor_javascript`);
    process.exit(1);
  }
  console.log(`${names.size} vendored files are those of package-lock.json`);
} else {
  mkdirSync(TARGET, { recursive: true });
  for (const [name, content] of Object.entries(files)) writeFileSync(`${TARGET}/${name}`, content);
  console.log(`wrote ${Object.keys(files).join(", ")} to ${TARGET}`);
}
