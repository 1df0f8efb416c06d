"""Why the edge refuses, before any context is asked."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, Refusal


class Malformed(Invalid):
    """The request is not what HTTP or JSON allow."""

    code = "malformed"


class RequestInvalid(Invalid):
    """The request does not fit the schema; `errors` says where."""

    code = "request_invalid"


class KeyMissing(Invalid):
    """This request needs an Idempotency-Key, so that it can be sent again without being done twice."""

    code = "idempotency_key_missing"


class KeyInvalid(Invalid):
    """An Idempotency-Key is 1 to 255 printable ASCII characters, bare or quoted."""

    code = "idempotency_key_invalid"


class PermissionMissing(Forbidden):
    """Your role does not allow this."""

    code = "permission_missing"


class PathUnknown(NotFound):
    """There is nothing at this path."""

    code = "path_unknown"


class MethodNotAllowed(Invalid):
    """This path does not know that method; `Allow` says which it knows."""

    code = "method_not_allowed"


class MatchMissing(Conflict):
    """This request needs If-Match with the ETag you last saw, so that nobody's change is lost."""

    code = "if_match_missing"


class BodyTooLarge(Invalid):
    """The body is larger than is taken here."""

    code = "body_too_large"


class TargetTooLong(Invalid):
    """The path and query are longer than is taken here."""

    code = "target_too_long"


class MediaTypeUnsupported(Invalid):
    """Bodies are application/json here."""

    code = "media_type_unsupported"


class HeadersTooLarge(Invalid):
    """The headers are larger or more than is taken here."""

    code = "headers_too_large"


class Failed(Refusal):
    """Something of ours broke; it is logged under the request id."""

    code = "internal_error"
