"""Counting what a client may do (pure). Times are seconds of a monotonic clock, given by the caller."""

NEVER_SECONDS = 3600.0  # advised where the rate is 0: a number that fits into a frame


class TokenBucket:
    """`rate` a second on average, `burst` at once (GCRA in the form of a bucket that is filled when looked at)."""

    __slots__ = ("burst", "rate", "tokens", "updated")

    def __init__(self, rate: float, burst: float) -> None:
        self.rate = rate
        self.burst = burst
        self.tokens = burst
        self.updated = 0.0

    def take(self, now: float) -> float:
        """Take one; returns 0.0, or the seconds until there is one again."""
        tokens = min(self.burst, self.tokens + (now - self.updated) * self.rate)
        self.updated = now
        if tokens >= 1.0:
            self.tokens = tokens - 1.0
            return 0.0
        self.tokens = tokens
        return (1.0 - tokens) / self.rate if self.rate else NEVER_SECONDS


class ErrorBudget:
    """`limit` errors with no more than `window_seconds` from the first of them to the last are too many."""

    __slots__ = ("count", "limit", "since", "window_seconds")

    def __init__(self, limit: int, window_seconds: float) -> None:
        self.limit = limit
        self.window_seconds = window_seconds
        self.count = 0
        self.since = 0.0

    def spend(self, now: float) -> bool:
        """Count one error; False when it was one too many."""
        if now - self.since > self.window_seconds:
            self.since = now
            self.count = 0
        self.count += 1
        return self.count < self.limit


class Quota:
    """What one user may send in one process, over all sockets there."""

    __slots__ = ("announcements", "bucket", "refused")

    def __init__(self, commands: TokenBucket, announcements: TokenBucket) -> None:
        self.bucket = commands
        self.refused = 0  # in a row
        self.announcements = (
            announcements  # what is said of the user to everybody: two users must not use up what a process sends
        )
