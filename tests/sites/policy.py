"""A middleware that says with each page what it may load, as many sites do."""

import os
from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def add_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def answer(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = os.environ["CONTENT_POLICY"]
        return response

    return answer
