/** How long a test waits for something that must happen, in true time, as in `tests/patience.py`. */

export const PATIENCE_MS = 120_000;
