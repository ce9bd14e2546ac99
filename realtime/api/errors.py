"""Errors of the REST API: each is `{"detail": "…", "code": "…"}`. All views of the API use the handler (`api.base`).

Only this module turns refusals into HTTP statuses.
"""

import logging
import math
from json import JSONDecodeError
from typing import Any

from django.core.exceptions import RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent
from django.db import InterfaceError, OperationalError
from rest_framework.exceptions import APIException, ErrorDetail, ParseError, ValidationError
from rest_framework.response import Response
from rest_framework.views import exception_handler as answer_in_drf
from rest_framework.views import set_rollback

from realtime.delivery.refusal_texts import say, translate
from realtime.presence.store import StoreUnavailable
from realtime.protocol.errors import ErrorCode, Reason, Refused

logger = logging.getLogger(__name__)

AWAY = (OperationalError, InterfaceError, StoreUnavailable)
# Limits of Django's settings; it would answer the last two with a page.
TOO_LARGE = (RequestDataTooBig, TooManyFieldsSent, TooManyFilesSent)

STATUSES = {
    ErrorCode.INVALID_JSON: 400,
    ErrorCode.INVALID_MESSAGE: 400,
    ErrorCode.FORBIDDEN: 403,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.CONFLICT: 409,
    ErrorCode.RATE_LIMITED: 429,
    ErrorCode.UNAVAILABLE: 503,
}
CODES = {
    400: "INVALID_MESSAGE",
    401: "UNAUTHENTICATED",
    403: "FORBIDDEN",
    404: "NOT_FOUND",
    405: "METHOD_NOT_ALLOWED",
    406: "NOT_ACCEPTABLE",
    413: "TOO_LARGE",
    415: "UNSUPPORTED_MEDIA_TYPE",
    429: "RATE_LIMITED",
}


class TooLarge(APIException):
    status_code = 413


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """The answer to an exception in a view. With None, Django logs and answers it: it was not expected."""
    if isinstance(error, Refused):
        set_rollback()
        return answer_refusal(error)
    if isinstance(error, AWAY):
        logger.error("Answered 503 to %s", context["request"].path, exc_info=error)
        set_rollback()
        return answer_refusal(Refused(ErrorCode.UNAVAILABLE, Reason.TRY_AGAIN))
    # Python's JSON decoder raises RecursionError for JSON that is nested a hundred thousand times.
    if isinstance(error, RecursionError):
        error = ParseError()
    if isinstance(error, TOO_LARGE):
        error = TooLarge(say(Reason.REQUEST_TOO_LARGE))
    response = answer_in_drf(error, context)
    if response is not None:
        response.data = _describe(error, response)
    return response


def answer_refusal(refusal: Refused) -> Response:
    """The response to a refusal: its text in the client's language, its code, and how long to wait, if it says so."""
    body: dict[str, Any] = {"detail": translate(refusal), "code": str(refusal.code)}
    headers = {}
    if refusal.retry_after_ms is not None:
        body["retry_after_ms"] = refusal.retry_after_ms
        headers["Retry-After"] = str(math.ceil(refusal.retry_after_ms / 1000))
    return Response(body, STATUSES.get(refusal.code, 400), headers=headers)


def _describe(error: Exception, response: Response) -> dict[str, Any]:
    if isinstance(error, ValidationError):
        return {"detail": say(Reason.INVALID_REQUEST), "code": "INVALID_MESSAGE", "errors": response.data}
    detail = response.data.get("detail") if isinstance(response.data, dict) else None
    code = CODES.get(response.status_code, str(ErrorCode.MESSAGE_PROCESSING_ERROR))
    if isinstance(error, ParseError):
        return {"detail": _describe_unreadable(error), "code": str(ErrorCode.INVALID_JSON)}
    if isinstance(detail, ErrorDetail) and detail.code == "TOKEN_EXPIRED":
        code = detail.code
    return {"detail": str(detail or error), "code": code}


def _describe_unreadable(error: ParseError) -> str:
    """Why a body could not be read, in the client's language: REST framework has its text in English only."""
    found = error.__context__  # the decoder's exception
    if isinstance(found, JSONDecodeError):
        return say(Reason.REQUEST_NOT_JSON, line=found.lineno, column=found.colno)
    return say(Reason.REQUEST_UNREADABLE)
