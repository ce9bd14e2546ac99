"""Compressed pages and static files, without a step that builds them. Used by the settings, for the demo."""

import os
from typing import Any

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

NOT_MODIFIED = 304


class CompressionMiddleware(GZipMiddleware):
    """Django's, but a 304 stays empty: that of WhiteNoise is a stream, and a compressed stream is never empty."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        return response if response.status_code == NOT_MODIFIED else super().process_response(request, response)


def weaken_etag(headers: Any, path: str, url: str) -> None:
    """The middleware makes a strong ETag a weak one, which WhiteNoise would not know again: no 304 would be sent."""
    status = os.stat(path)
    headers["ETag"] = f'W/"{status.st_mtime_ns:x}-{status.st_size:x}"'
