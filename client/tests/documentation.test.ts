/** The example of a test in `docs/frontend.md`. */

// @ts-expect-error: it is made by a plugin of vitest.config.ts
import "example:chat.test.js";
