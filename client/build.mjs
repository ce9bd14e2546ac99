/**
 * Builds the library: `dist/`, which the npm package has, and the files for pages without a bundler, which Django
 * serves and which are committed. With `--check` nothing is written: it fails if those are stale or too large.
 */

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const STATIC = join(HERE, "../realtime/static/realtime");
const NOTICE = "/* Built from client/src by `make client`; do not edit. */\n";

const COMMON = { absWorkingDir: HERE, bundle: true, target: "es2022", charset: "utf8", legalComments: "none", write: false };
const FRAMEWORKS = { external: ["react", "vue"] };

/** What Django serves: an ES module, the same as a script that `{% realtime_client %}` loads, and the shared worker. */
const FILES = {
  "realtime.js": { entry: "src/index.ts", format: "esm" },
  "realtime.classic.js": { entry: "src/classic.ts", format: "iife" },
  "realtime.worker.js": { entry: "src/share/worker.ts", format: "iife" },
};

/** In KB of gzip. An adapter counts without the framework, and without the core. */
const BUDGETS = {
  core: { files: [minified("src/index.ts")], most: 6 },
  "core and sharing": { files: [minified("src/index.ts"), minified("src/share/worker.ts")], most: 9 },
  react: { files: [minified("src/react.ts")], most: 2 },
  vue: { files: [minified("src/vue.ts")], most: 2 },
};

async function minified(entry, format = "esm") {
  const { outputFiles } = await build({ ...COMMON, ...FRAMEWORKS, entryPoints: [entry], format, minify: true });
  return outputFiles[0].text;
}

async function buildStatic() {
  const built = {};
  for (const [name, { entry, format }] of Object.entries(FILES)) built[name] = NOTICE + (await minified(entry, format));
  return built;
}

async function buildPackage() {
  const names = ["index", "react", "vue", "testing", "share/worker"];
  const { outputFiles } = await build({
    ...COMMON,
    ...FRAMEWORKS,
    entryPoints: names.map((name) => `src/${name}.ts`),
    outdir: "dist",
    outbase: "src",
    format: "esm",
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
  });
  rmSync(join(HERE, "dist"), { recursive: true, force: true });
  for (const { path, text } of outputFiles) {
    mkdirSync(join(path, ".."), { recursive: true });
    // Frameworks that render on a server have to know that hooks run in the browser.
    writeFileSync(path, basename(path) === "react.js" ? `"use client";\n${text}` : text);
  }
  execFileSync("tsc", ["-p", "tsconfig.build.json"], { cwd: HERE, stdio: "inherit" });
}

async function measure() {
  let fits = true;
  for (const [name, { files, most }] of Object.entries(BUDGETS)) {
    const bytes = (await Promise.all(files)).reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0);
    const isTooLarge = bytes > 1024 * most;
    console.log(`${name.padEnd(18)}${(bytes / 1024).toFixed(1)} KB gzip, at most ${most}${isTooLarge ? ": TOO LARGE" : ""}`);
    fits &&= !isTooLarge;
  }
  return fits;
}

function findStale(built) {
  return Object.entries(built).flatMap(([name, text]) => {
    const path = join(STATIC, name);
    return existsSync(path) && readFileSync(path, "utf8") === text ? [] : [name];
  });
}

const built = await buildStatic();
if (process.argv.includes("--check")) {
  const stale = findStale(built);
  if (stale.length > 0) console.error(`Stale: ${stale.join(", ")}. Run \`make client\`, and commit realtime/static/realtime.`);
  if (!(await measure()) || stale.length > 0) process.exit(1);
} else {
  for (const [name, text] of Object.entries(built)) writeFileSync(join(STATIC, name), text);
  await measure();
}
await buildPackage(); // `publint` looks at it
