/**
 * Builds the library: `dist/`, which the npm package has, and the files for pages without a bundler, which Django
 * serves and which are committed. With `--check` those are not written: it fails if they are stale or too large.
 */

import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import { build } from "esbuild";
import { minify as shorten } from "terser";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const STATIC = join(HERE, "../realtime/static/realtime");
const README = join(HERE, "../README.md");

/**
 * Members that only modules of the library use, with each other: built files have shorter names for them. None may be
 * public, a key of a frame, or read by its name in a string.
 */
const INTERNAL =
  "addDraft admit alter ask base begin callback cancel check conclude decline draft effect emit expect expire finish fire flush " +
  "forgetStream fulfil giveUp greeting isHeld isOwn limited loader makeId moment note outbox part plan positions preview put " +
  "ready rejectAll reset resuming revise runAfter runAgain runMore runNow say sendNow seqs sorted stop takeFrame takePage timer transmit " +
  "trimTo update wake wants";

const COMMON = {
  absWorkingDir: HERE,
  bundle: true,
  external: ["react", "vue"],
  target: "es2022",
  charset: "utf8",
  legalComments: "none",
  mangleProps: new RegExp(`^(${INTERNAL.replaceAll(" ", "|")})$`),
  write: false,
};

/**
 * In a file without chunks nothing can be loaded later. What esbuild would keep ready for that is 0.3 KB. The code of a
 * tab that leads is in the worker's file, which has the address that the page gives, or lies beside this one.
 */
const inOneFile = {
  name: "in one file",
  setup({ onLoad }) {
    onLoad({ filter: /\b(client|share\/index)\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8");
      const contents = path.endsWith("client.ts")
        ? `import { prepare } from "./share/index.js";${text.replace(/import\(.+\)\.then\(.+?=> (prepare\(\))\)/, "$1")}`
        : text.replace(/import\("(.+?)"\)/, 'import(worker ?? "./realtime.worker.js")');
      return { loader: "ts", contents };
    });
  },
};

/** What esbuild leaves is made 3 % smaller. Nothing here counts on properties that do something when they are read. */
const UNSAFE = { pure_getters: true, unsafe: true, unsafe_arrows: true, unsafe_math: true, unsafe_methods: true };
const COMPRESS = {
  ...UNSAFE,
  passes: 3,
  keep_fargs: false,
  hoist_funs: true,
  unsafe_comps: true,
  if_return: false,
  comparisons: false,
};
const SHORTEN = { module: true, ecma: 2022, compress: COMPRESS };

/** What others read: types, frames, and what tabs say to each other. So is all of `src/testing`. */
const PUBLIC = ["types", "frames", "share/wire"];

/** What Django serves: an ES module, the same as a script that `{% realtime_client %}` loads, and the shared worker. */
const FILES = {
  "realtime.js": { entry: "src/index.ts", format: "esm" },
  "realtime.classic.js": { entry: "src/classic.ts", format: "iife" },
  "realtime.worker.js": { entry: "src/share/worker.ts", format: "esm" },
};

/** The most that a page may have to load, in KB of gzip, by the names of README's table. Frameworks do not count. */
const BUDGETS = [
  { name: "core", entry: "src/core.ts", external: ["./share/index.js"], most: 6 },
  { name: "all", entry: "src/index.ts", plugins: [inOneFile], most: 9 },
  { name: "script of the tag", entry: "src/classic.ts", format: "iife", plugins: [inOneFile], most: 9.2 },
  { name: "worker", entry: "src/share/worker.ts", most: 2 },
  { name: "hooks for React", entry: "src/react.ts", most: 2 },
  { name: "hooks for Vue", entry: "src/vue.ts", most: 2 },
];

/** Fails if a name that built files change is one that others use. */
function checkInternal() {
  const fakes = readdirSync(join(HERE, "src/testing")).map((name) => `testing/${basename(name, ".ts")}`);
  const texts = [...PUBLIC, ...fakes].map((name) => readFileSync(join(HERE, `src/${name}.ts`), "utf8"));
  const words = new Set(texts.join("\n").replaceAll(/\/\*[^]*?\*\/|\/\/.*/g, "").match(/\w+/g));
  for (const name of INTERNAL.split(" ")) if (words.has(name)) fail(`Not internal: ${name}.`);
}

async function minify(entry, { external = [], ...options } = {}) {
  const both = [...COMMON.external, ...external];
  const { outputFiles } = await build({
    ...COMMON,
    entryPoints: [entry],
    format: "esm",
    minify: true,
    ...options,
    external: both,
  });
  return (await shorten(outputFiles[0].text, SHORTEN)).code;
}

/** Tabs with different builds of the library have no worker in common: each build has a name. */
async function nameBuild() {
  const texts = await Promise.all(["src/index.ts", "src/share/worker.ts"].map((entry) => minify(entry)));
  return { __BUILD__: JSON.stringify(createHash("sha256").update(texts.join()).digest("hex").slice(0, 8)) };
}

async function buildStatic(define) {
  const built = {};
  for (const [name, { entry, format }] of Object.entries(FILES))
    built[join(STATIC, name)] = await minify(entry, { format, define, plugins: [inOneFile] });
  return built;
}

async function buildPackage(define) {
  const modules = await build({
    ...COMMON,
    define,
    entryPoints: ["core", "index", "react", "testing", "vue"].map((name) => `src/${name}.ts`),
    outdir: "dist",
    format: "esm",
    splitting: true,
    chunkNames: "chunks/[name]-[hash]",
  });
  // In one file, because bundlers copy a file whose address is asked for.
  const worker = await build({ ...COMMON, define, entryPoints: ["src/share/worker.ts"], outfile: "dist/worker.js" });
  rmSync(join(HERE, "dist"), { recursive: true, force: true });
  for (const { path, text } of [...modules.outputFiles, ...worker.outputFiles]) {
    mkdirSync(dirname(path), { recursive: true });
    // Frameworks that render on a server have to know that hooks run in the browser.
    writeFileSync(path, basename(path) === "react.js" ? `"use client";\n${text}` : text);
  }
  execFileSync(join(HERE, "node_modules/.bin/tsc"), ["-p", "tsconfig.build.json"], { cwd: HERE, stdio: "inherit" });
}

/** The size of each part. Fails if one is too large. */
async function measure(define) {
  const sizes = {};
  for (const { name, entry, most, ...options } of BUDGETS) {
    const size = gzipSync(await minify(entry, { ...options, define }), { level: 9 }).length / 1024;
    sizes[name] = size.toFixed(1);
    console.log(`${name}: ${sizes[name]} KB gzip, at most ${most}`);
    if (size > most) fail(`Too large: ${name}.`);
  }
  return sizes;
}

/** README with these sizes in its table. */
function putSizes(text, sizes) {
  return text.replaceAll(/^\| \*\*(.+)\*\* \| [\d.]+ \|$/gm, (row, name) =>
    name in sizes ? `| **${name}** | ${sizes[name]} |` : row,
  );
}

function fail(message) {
  console.error(message);
  process.exitCode = 1;
}

checkInternal();
const define = await nameBuild();
const texts = await buildStatic(define);
await buildPackage(define); // `publint` looks at it
texts[README] = putSizes(readFileSync(README, "utf8"), await measure(define));
for (const [path, text] of Object.entries(texts)) {
  if (existsSync(path) && readFileSync(path, "utf8") === text) continue;
  if (process.argv.includes("--check")) fail(`Stale: ${basename(path)}. Run \`make client\`, and commit what it writes.`);
  else writeFileSync(path, text);
}
