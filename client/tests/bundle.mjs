/**
 * Bundles a front end for a test in a browser: `node bundle.mjs <entry>` writes one module to the standard output.
 * The library comes from its sources, and frameworks from this folder's packages, wherever the entry is.
 */

import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { compileScript, parse } from "vue/compiler-sfc";

const CLIENT = fileURLToPath(new URL("..", import.meta.url));
const entries = { "": "index", "/core": "core", "/react": "react", "/vue": "vue", "/testing": "testing" };

/** Components in `.vue` files, as far as the recipes need it. */
const components = {
  name: "components",
  setup({ onLoad }) {
    onLoad({ filter: /\.vue$/ }, ({ path }) => {
      const { descriptor } = parse(readFileSync(path, "utf8"), { filename: path });
      return { contents: compileScript(descriptor, { id: basename(path), inlineTemplate: true }).content };
    });
  },
};

const { outputFiles } = await build({
  entryPoints: [process.argv[2]],
  bundle: true,
  write: false,
  format: "esm",
  target: "es2020", // as Vite 5 and 6 do by default
  jsx: "automatic",
  nodePaths: [`${CLIENT}node_modules`],
  alias: Object.fromEntries(
    Object.entries(entries).map(([path, name]) => [`django-realtime-hub${path}`, `${CLIENT}src/${name}.ts`]),
  ),
  define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false" },
  plugins: [components],
});
process.stdout.write(outputFiles[0].text);
