import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

import { PATIENCE_MS } from "./tests/patience.js";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** `example:chat.test.js` is the code that has this mark in `docs/frontend.md`. */
const examples = {
  name: "examples",
  resolveId: (id: string) => (id.startsWith("example:") ? `\0${id}` : null),
  async load(id: string) {
    if (!id.startsWith("\0example:")) return null;
    const page = readFileSync(`${HERE}../docs/frontend.md`, "utf8");
    const code = page.split(`<!-- ${id.slice("\0example:".length)} -->\n`)[1]!.split("```")[1]!.replace(/^\w+\n/, "");
    return id.endsWith(".vue") ? await compileComponent(code) : code;
  },
};

/** As the compiler of the Vue does it with which the tests run: what one compiler makes reactive, an older one does not. */
async function compileComponent(code: string): Promise<string> {
  const compiler = process.env["OLDEST"] ? `${HERE}oldest/node_modules/vue/compiler-sfc/index.mjs` : "vue/compiler-sfc";
  const { compileScript, parse } = (await import(compiler)) as typeof import("vue/compiler-sfc");
  return compileScript(parse(code).descriptor, { id: "example", inlineTemplate: true }).content;
}

/** With BUILT, the tests import the entries that the npm package has, in which internal members have other names. */
const built = { find: /^\.\.\/src\/(core|index|react|testing|vue)\.js$/, replacement: `${HERE}dist/$1.js` };

/** With OLDEST, the hooks run with the oldest React and Vue that the package accepts. */
const oldest = [
  { find: /^react$/, replacement: `${HERE}oldest/react.js` },
  { find: /^vue$/, replacement: `${HERE}oldest/node_modules/vue/index.mjs` },
  { find: /^react-dom\/client$/, replacement: `${HERE}oldest/node_modules/react-dom/client.js` },
];

export default defineConfig({
  plugins: [examples],
  resolve: {
    alias: [
      ...(process.env["BUILT"] ? [built] : []),
      ...(process.env["OLDEST"] ? oldest : []),
      { find: /^django-realtime-hub$/, replacement: process.env["BUILT"] ? `${HERE}dist/index.js` : `${HERE}src/index.ts` },
      {
        find: /^django-realtime-hub\/(\w+)$/,
        replacement: process.env["BUILT"] ? `${HERE}dist/$1.js` : `${HERE}src/$1.ts`,
      },
    ],
  },
  test: {
    include: ["tests/**/*.test.ts"],
    environment: "node", // a file that needs a document says so in its first line
    restoreMocks: true,
    // Only a test that fails takes so long: a machine that has no time for it may need more than the usual 5 seconds.
    testTimeout: PATIENCE_MS,
    hookTimeout: PATIENCE_MS,
    setupFiles: ["tests/frames.setup.ts"],
    pool: "threads",
    reporters: ["dot"],
  },
});
