/** The types that a site adds, as `docs/client.md` shows it, in a file of their own. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const CLIENT = fileURLToPath(new URL("..", import.meta.url));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "augmentation-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** What the compiler says about these files; nothing if they are right. */
function compile(files: Record<string, string>): string {
  const config = {
    compilerOptions: {
      target: "ES2022",
      module: "ESNext",
      moduleResolution: "Bundler",
      strict: true,
      noEmit: true,
      types: [],
      paths: { "django-realtime-hub": [`${CLIENT}src/index.ts`], "django-realtime-hub/core": [`${CLIENT}src/core.ts`] },
    },
    include: ["*.ts"],
  };
  for (const [name, text] of Object.entries({ ...files, "tsconfig.json": JSON.stringify(config) }))
    writeFileSync(join(folder, name), text);
  try {
    execFileSync(`${CLIENT}node_modules/.bin/tsc`, ["-p", folder], { encoding: "utf8", stdio: "pipe" });
    return "";
  } catch (error) {
    return (error as { stdout: string }).stdout;
  }
}

test.each([
  ["django-realtime-hub", "createRealtime"],
  ["django-realtime-hub/core", "createClient"],
])("adds to those of %s", (entry, create) => {
  const page = readFileSync(`${CLIENT}../docs/client.md`, "utf8");
  const example = page.split("<!-- augmentation -->\n```ts\n")[1]!.split("```")[0]!;
  const use = `import { ${create} } from "${entry}";\n${create}().on("order", ({ number }): string => number);\n`;
  expect(compile({ "site.ts": example, "use.ts": use })).toBe("");
});
