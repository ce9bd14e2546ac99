"""The REST API of notifications: inbox, acts, following. The views, which `notifications.urls` routes to."""
