"""The REST API, one module for each thing. Routed by `realtime.urls`."""
