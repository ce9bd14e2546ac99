"""How long a test waits for something that has to come. Only one that fails waits that long, so it may be very long."""

PATIENCE_SECONDS = 60.0
