"""The ASGI application: Django for HTTP, the realtime consumer for sockets."""

import os
import warnings

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "project.settings")
# WhiteNoise streams files with synchronous iterators, and Django says so at the first one.
warnings.filterwarnings("ignore", message="StreamingHttpResponse must consume synchronous iterators")
django_application = get_asgi_application()

from realtime.routing import asgi_application  # noqa: E402  (the apps must be loaded first)

application = asgi_application(http=django_application)
