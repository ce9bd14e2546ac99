/** How `docs/frontend.md` installs the package, which is not in a registry. */

import { execSync } from "node:child_process";
import { cpSync, existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";

const CLIENT = fileURLToPath(new URL("..", import.meta.url));

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "install-"));
});

afterEach(() => rmSync(folder, { recursive: true }));

/** What a reader types in the folder of the front end. The library is built already. */
function readCommands(): string[] {
  const page = readFileSync(`${CLIENT}../docs/frontend.md`, "utf8");
  const lines = page.split("<!-- install -->\n")[1]!.split("```")[1]!.split("\n");
  return lines.filter((line) => line.startsWith("$ npm ")).map((line) => line.slice(2));
}

test("the package stays a copy when other packages are installed", () => {
  const [library, site] = [join(folder, "django-realtime-hub/client"), join(folder, "frontend")];
  mkdirSync(join(library, "dist"), { recursive: true });
  cpSync(`${CLIENT}package.json`, join(library, "package.json"));
  writeFileSync(join(library, "dist/index.js"), "");
  mkdirSync(site);
  writeFileSync(join(site, "package.json"), "{}");
  for (const command of [...readCommands(), "npm install", "npm ci"])
    execSync(`${command} --offline --silent --no-audit --no-fund`, { cwd: site, stdio: "pipe" });
  const installed = join(site, "node_modules/django-realtime-hub");
  // Through a link, the hooks would find the React of the library's own tests.
  expect(lstatSync(installed).isSymbolicLink()).toBe(false);
  expect(existsSync(join(installed, "dist/index.js"))).toBe(true);
});
