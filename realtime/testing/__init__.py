"""For the tests of a site: sockets in the test's own process, and what site code publishes. docs/testing.md shows it.

It needs no server, no port and no Redis, and works with pytest and with Django's test cases.
"""

from realtime.testing.opening import connect, other_process
from realtime.testing.recording import assert_published, published
from realtime.testing.socket import Socket

__all__ = ["Socket", "assert_published", "connect", "other_process", "published"]
