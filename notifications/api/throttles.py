"""How often a user may change their inbox over REST. Named by the views that change something."""

from rest_framework.views import APIView

from notifications import conf
from realtime.integration.rest import ChangeThrottle


class ActThrottle(ChangeThrottle):
    """Limits what is stored for every act: an event for the reader's devices, and what is needed to undo it."""

    scope = "notification_acts"

    def find_limit(self) -> int | None:
        return conf.settings().acts_per_minute


THROTTLES = [*APIView.throttle_classes, ActThrottle]
