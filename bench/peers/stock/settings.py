"""Settings of the plain Channels site. The benchmark gives the database, Redis and a key prefix."""

import os

import dj_database_url

SECRET_KEY = os.environ["SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
USE_TZ = True
INSTALLED_APPS = ["channels", "bench.peers.stock"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

DATABASES = {"default": dj_database_url.parse(os.environ["DATABASE_URL"], conn_max_age=0)}
DATABASES["default"].setdefault("OPTIONS", {})["pool"] = {"min_size": 2, "max_size": 16, "timeout": 10}

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            # redis-py's own 5 seconds would end the subscription of an idle site.
            "hosts": [{"address": os.environ["REDIS_URL"], "socket_timeout": 60}],
            "prefix": os.environ["BENCH_PREFIX"],
        },
    }
}
