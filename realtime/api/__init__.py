"""The REST API (L4), one module for each thing. Routed by `realtime.urls`."""
