"""Who may do what, written down by hand: what the API's own document and code are held against, route by route.

`+` lets in, 403 is a permission that the role lacks, 404 something of somebody else's, which is as if it were not
there. Whoever adds a route adds a line; there is none for a route that asks nobody for a token (`OPEN`). Without a good
token every one of these answers 401.
"""

CALLERS = ("owner", "manager", "clerk", "other_clerk", "analyst", "service", "customer", "other_customer")
"""The columns. The clerk placed the order, the customer is whom it is for, job and file are the owner's; the others
have nothing to do with any of it.

The session is the customer's, on another device: nobody here asks by a token of one, so nobody signs out *here*.
"""

_TABLE = """
                                                owner manager clerk other_clerk analyst service customer other_customer
POST   /v1/orders                               +     +       +     +           403     +       +        +
GET    /v1/orders                               +     +       +     +           +       +       +        +
GET    /v1/orders/{order_id}                    +     +       +     404         +       +       +        404
PATCH  /v1/orders/{order_id}                    +     +       +     404         403     +       403      403
GET    /v1/orders/{order_id}/history            +     +       +     404         +       +       +        404
POST   /v1/orders/{order_id}/transitions        +     +       +     404         403     +       403      403

POST   /v1/customers                            +     +       +     +           403     +       403      403
GET    /v1/customers                            +     +       +     +           +       +       +        +
GET    /v1/customers/{customer_id}              +     +       +     +           +       +       +        404
PATCH  /v1/customers/{customer_id}              +     +       +     +           403     +       403      403
POST   /v1/customers/{customer_id}/deactivation +     +       +     +           403     +       403      403
POST   /v1/customers/{customer_id}/reactivation +     +       +     +           403     +       403      403

POST   /v1/users                                +     +       403   403         403     403     403      403
GET    /v1/users                                +     +       +     +           +       +       403      403
GET    /v1/users/{user_id}                      +     +       +     +           +       +       403      403
PATCH  /v1/users/{user_id}                      +     +       403   403         403     403     403      403
DELETE /v1/users/{user_id}                      +     +       403   403         403     403     403      403
PUT    /v1/users/{user_id}/role                 +     +       403   403         403     403     403      403
POST   /v1/users/{user_id}/deactivation         +     +       403   403         403     403     403      403
POST   /v1/users/{user_id}/reactivation         +     +       403   403         403     403     403      403
GET    /v1/users/{user_id}/permissions          +     +       +     +           +       +       403      403
GET    /v1/access/why                           +     +       +     +           +       +       403      403

POST   /v1/invitations                          +     +       403   403         403     403     403      403
GET    /v1/invitations                          +     +       +     +           +       +       403      403
GET    /v1/invitations/{invitation_id}          +     +       +     +           +       +       403      403
DELETE /v1/invitations/{invitation_id}          +     +       403   403         403     403     403      403
POST   /v1/invitations/{invitation_id}/link     +     +       403   403         403     403     403      403

POST   /v1/teams                                +     +       403   403         403     403     403      403
GET    /v1/teams                                +     +       +     +           +       +       403      403
GET    /v1/teams/{team_id}                      +     +       +     +           +       +       403      403
PATCH  /v1/teams/{team_id}                      +     +       403   403         403     403     403      403
DELETE /v1/teams/{team_id}                      +     +       403   403         403     403     403      403
GET    /v1/teams/{team_id}/members              +     +       +     +           +       +       403      403
PUT    /v1/teams/{team_id}/members/{user_id}    +     +       403   403         403     403     403      403
DELETE /v1/teams/{team_id}/members/{user_id}    +     +       403   403         403     403     403      403

POST   /v1/roles                                +     403     403   403         403     403     403      403
GET    /v1/roles                                +     +       +     +           +       +       403      403
GET    /v1/roles/{role_id}                      +     +       +     +           +       +       403      403
PATCH  /v1/roles/{role_id}                      +     403     403   403         403     403     403      403
DELETE /v1/roles/{role_id}                      +     403     403   403         403     403     403      403

GET    /v1/people/{user_id}                     403   403     403   403         403     +       403      403
PUT    /v1/people/{user_id}                     403   403     403   403         403     +       403      403
POST   /v1/people-searches                      403   403     403   403         403     +       403      403
PUT    /v1/people/{user_id}/verification        403   403     403   403         403     +       403      403

POST   /v1/jobs                                 +     +       +     +           +       +       403      403
GET    /v1/jobs                                 +     +       +     +           +       +       403      403
GET    /v1/jobs/{job_id}                        +     +       404   404         404     404     403      403
POST   /v1/jobs/{job_id}/cancellation           +     +       404   404         404     404     403      403
POST   /v1/jobs/{job_id}/retry                  +     +       404   404         404     404     403      403
GET    /v1/job-kinds                            +     +       +     +           +       +       403      403

POST   /v1/schedules                            +     +       403   403         403     403     403      403
GET    /v1/schedules                            +     +       403   403         403     403     403      403
GET    /v1/schedules/{schedule_id}              +     +       403   403         403     403     403      403
PATCH  /v1/schedules/{schedule_id}              +     +       403   403         403     403     403      403
DELETE /v1/schedules/{schedule_id}              +     +       403   403         403     403     403      403

POST   /v1/files                                +     +       +     +           +       +       403      403
GET    /v1/files/{file_id}                      +     +       404   404         404     404     403      403
DELETE /v1/files/{file_id}                      +     +       404   404         404     404     403      403
PUT    /v1/files/{file_id}/content              +     +       404   404         404     404     403      403
GET    /v1/files/{file_id}/content              +     +       404   404         404     404     403      403

POST   /v1/tasks                                +     +       +     +           403     +       403      403
GET    /v1/tasks                                +     +       +     +           +       +       403      403
GET    /v1/tasks/{task_id}                      +     +       +     +           +       +       403      403
PATCH  /v1/tasks/{task_id}                      +     +       +     +           403     +       403      403
PUT    /v1/tasks/{task_id}                      +     +       +     +           403     +       403      403
DELETE /v1/tasks/{task_id}                      +     +       403   403         403     403     403      403
GET    /v1/tasks/{task_id}/history              +     +       +     +           +       +       403      403
POST   /v1/tasks/{task_id}/comments             +     +       +     +           403     +       403      403
GET    /v1/tasks/{task_id}/comments             +     +       +     +           +       +       403      403
GET    /v1/task-comments/{comment_id}           +     +       +     +           +       +       403      403
PATCH  /v1/task-comments/{comment_id}           +     +       +     +           403     +       403      403
DELETE /v1/task-comments/{comment_id}           +     +       +     +           403     +       403      403
POST   /v1/tasks/{task_id}/checklist            +     +       +     +           403     +       403      403
GET    /v1/tasks/{task_id}/checklist            +     +       +     +           +       +       403      403
GET    /v1/checklist-items/{item_id}            +     +       +     +           +       +       403      403
PATCH  /v1/checklist-items/{item_id}            +     +       +     +           403     +       403      403
DELETE /v1/checklist-items/{item_id}            +     +       +     +           403     +       403      403
POST   /v1/task-rules                           +     +       403   403         403     403     403      403
GET    /v1/task-rules                           +     +       +     +           +       +       403      403
GET    /v1/task-rules/{rule_id}                 +     +       +     +           +       +       403      403
PATCH  /v1/task-rules/{rule_id}                 +     +       403   403         403     403     403      403
DELETE /v1/task-rules/{rule_id}                 +     +       403   403         403     403     403      403
GET    /v1/task-statistics                      +     +       +     +           +       +       403      403

GET    /v1/auth/sessions                        +     +       +     +           +       403     +        +
DELETE /v1/auth/sessions                        +     +       +     +           +       403     +        +
DELETE /v1/auth/sessions/{session_id}           404   404     404   404         404     403     +        404
DELETE /v1/auth/session                         404   404     404   404         404     403     404      404
PUT    /v1/auth/password                        +     +       +     +           +       403     +        +
GET    /v1/auth/second-factor                   +     +       +     +           +       403     +        +
POST   /v1/auth/second-factor                   +     +       +     +           +       403     +        +
POST   /v1/auth/second-factor/confirmation      +     +       +     +           +       403     +        +
POST   /v1/auth/second-factor/removal           +     +       +     +           +       403     +        +
POST   /v1/auth/api-keys                        +     +       +     +           +       403     +        +
GET    /v1/auth/api-keys                        +     +       +     +           +       403     +        +
DELETE /v1/auth/api-keys/{api_key_id}           404   404     404   404         404     403     404      404
POST   /v1/auth/clients                         +     403     403   403         403     403     403      403
GET    /v1/auth/clients                         +     403     403   403         403     403     403      403
DELETE /v1/auth/clients/{client_id}             +     403     403   403         403     403     403      403
POST   /oauth/introspection                     403   403     403   403         403     +       403      403
GET    /v1/auth/revocations                     403   403     403   403         403     +       403      403

GET    /v1/audit                                +     +       403   403         403     403     403      403
POST   /v1/audit/refusals                       403   403     403   403         403     +       403      403

GET    /v1/analytics/sales                      +     +       403   403         +       403     403      403

GET    /v1/facts/{context}                      +     +       403   403         403     +       403      403
GET    /metrics                                 +     +       403   403         403     +       403      403
GET    /v1/readers                              +     +       403   403         403     +       403      403
POST   /v1/readers/{reader}/replays             +     403     403   403         403     403     403      403
GET    /v1/dead-letters                         +     +       403   403         403     +       403      403
GET    /v1/dead-letters/{letter_id}             +     +       403   403         403     +       403      403
PATCH  /v1/dead-letters/{letter_id}             +     403     403   403         403     403     403      403
DELETE /v1/dead-letters/{letter_id}             +     403     403   403         403     403     403      403
POST   /v1/dead-letters/{letter_id}/replay      +     403     403   403         403     403     403      403
"""

OPEN = frozenset(
    {
        "GET /health/liveness",
        "GET /health/readiness",
        "GET /problems",
        "GET /problems/{code}",
        "GET /.well-known/jwks.json",
        "POST /v1/acceptances",
        "GET /asyncapi.json",
        "GET /schemas/facts/{name}/{version}",
        "POST /v1/auth/registrations",
        "POST /v1/auth/verifications",
        "POST /v1/auth/sessions",
        "POST /v1/auth/tokens",
        "POST /v1/auth/password-resets",
        "POST /v1/auth/password-resets/completion",
        "POST /oauth/revocation",
        "POST /oauth/token",
        "GET /oauth/return",
        "POST /v1/auth/outside-sign-ins",
        "POST /v1/auth/outside-sign-ins/completion",
        "POST /oauth/device-authorization",
        "GET /oauth/authorization",
        "POST /oauth/authorization",
        "GET /oauth/device",
        "POST /oauth/device",
        "GET /.well-known/oauth-authorization-server",
        "GET /.well-known/openid-configuration",
        "POST /v1/auth/api-key-tokens",
    }
)
"""What anybody may ask. Whatever else is open was forgotten."""

UNDOCUMENTED = frozenset(
    {
        "GET /openapi.json",
        "GET /docs",
        "GET /docs/{name}",
    }
)
"""What is served and is no part of the API: its document, and the page to read it on."""

LET_IN = "+"


def _read(table: str) -> dict[str, dict[str, str]]:
    head, *lines = [line.split() for line in table.splitlines() if line]
    if tuple(head) != CALLERS or any(len(line) != len(CALLERS) + 2 for line in lines):
        raise ValueError("the table's columns are the callers")
    return {f"{method} {path}": dict(zip(CALLERS, cells, strict=True)) for method, path, *cells in lines}


EXPECTED = _read(_TABLE)
"""What each caller hears, by operation."""
