"""What `channels_redis` logs while Redis is away: a traceback each second. The bus, which uses it, says it once.

Other errors of the layer, and of others that use it, are logged as before.
"""

import logging

LOGGER = logging.getLogger("channels_redis.pubsub")
LOST = ("ConnectionError", "TimeoutError")  # of redis-py, which a site without Redis does not have


class ReaderErrors(logging.Filter):
    """Keeps lost connections out of the log of the layer, and remembers the last one."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""  # since the last beat that was heard

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if error is None or not is_lost_connection(error):
            return True
        self.last = str(error) or type(error).__name__
        return False

    def start(self) -> None:
        LOGGER.addFilter(self)

    def stop(self) -> None:
        LOGGER.removeFilter(self)


def is_lost_connection(error: BaseException) -> bool:
    kinds = type(error).__mro__
    return OSError in kinds or any(kind.__module__ == "redis.exceptions" and kind.__name__ in LOST for kind in kinds)
