"""A Content-Security-Policy for sites of tests, as the middleware of Django 6 and django-csp add it."""

import os
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.utils.deprecation import MiddlewareMixin


class PolicyMiddleware(MiddlewareMixin):
    """A view that has set a policy of its own keeps it."""

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> Any:
        response.headers.setdefault("Content-Security-Policy", os.environ["CONTENT_SECURITY_POLICY"])
        return response
