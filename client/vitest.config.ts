import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"],
    environment: "node", // a file that needs a document says so in its first line
    restoreMocks: true,
    pool: "threads",
    reporters: ["dot"],
  },
});
