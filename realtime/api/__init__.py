"""The REST API, one module for each resource. Routed by `realtime.urls`."""
