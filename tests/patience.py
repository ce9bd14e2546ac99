"""How long a test waits for something that must happen. It may be long: only a test that fails waits until the end."""

PATIENCE_SECONDS = 120.0
