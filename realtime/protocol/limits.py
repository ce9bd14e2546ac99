"""Rate limits for clients (pure). Used by `delivery` and by the sockets' intake.

Times are seconds of a monotonic clock, passed in by the caller.
"""

# The wait that is advised when the rate is 0: "for ever" must be a number, because it goes into a frame.
NEVER_SECONDS = 3600.0


class TokenBucket:
    """`rate` tokens a second on average, `burst` at once. GCRA as a bucket that is refilled whenever it is used."""

    __slots__ = ("burst", "rate", "tokens", "updated")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.updated = 0.0

    def take(self, now: float) -> float:
        """Take one token. Returns 0.0, or the seconds until the next token if there is none."""
        tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        self.updated = now
        if tokens >= 1.0:
            self.tokens = tokens - 1.0
            return 0.0
        self.tokens = tokens
        return (1.0 - tokens) / self.rate if self.rate else NEVER_SECONDS


class ErrorBudget:
    """Allows fewer than `limit` errors within `window_seconds`, counted from the first of them."""

    __slots__ = ("count", "limit", "since", "window_seconds")

    def __init__(self, limit: int, window_seconds: float) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self.count = 0
        self.since = 0.0

    def spend(self, now: float) -> bool:
        """Count one error. Returns False when it was one too many."""
        if now - self.since > self.window_seconds:
            self.since = now
            self.count = 0
        self.count += 1
        return self.count < self.limit


class Quota:
    """What one user may send in one process, over all of the user's sockets there."""

    __slots__ = ("announcements", "bucket", "refused")

    def __init__(self, commands: TokenBucket, announcements: TokenBucket) -> None:
        self.bucket = commands
        self.refused = 0  # in a row
        # Announcements about the user, which go to everybody: two users must not use up what the process may send.
        self.announcements = announcements
