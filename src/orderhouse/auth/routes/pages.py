"""The two pages of auth: letting a client in, and letting a device in. Who says yes proves who they are on the spot.

There is no cookie, so nothing can be done in somebody's name by a page of somebody else's.
"""

from collections.abc import Mapping, Sequence

import flask
from flask import Response

_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }} · Orderhouse</title>
<style>
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 26rem; margin: 4rem auto; padding: 0 1rem; }
label, button { display: block; width: 100%; margin-top: .8rem; }
input { width: 100%; box-sizing: border-box; padding: .5rem; font: inherit; }
button { padding: .6rem; font: inherit; }
[role=alert] { border-left: .3rem solid #b00; padding-left: .6rem; }
</style>
<h1>{{ title }}</h1>
{% if told %}<p role="alert">{{ told }}</p>{% endif %}
{% if done %}<p role="status">{{ done }}</p>{% if shown %}<pre>{{ shown }}</pre>{% endif %}{% else %}
<p>{{ asks }}</p>
{% if may %}<ul>{% for one in may %}<li>{{ one }}</li>{% endfor %}</ul>{% endif %}
<form method="post" action="{{ action }}" autocomplete="on">
{% for name, value in hidden %}<input type="hidden" name="{{ name }}" value="{{ value }}">
{% endfor %}
{% if typed %}<label>Code on the device<input name="user_code" value="{{ user_code }}" required></label>{% endif %}
<label>E-mail address<input name="email" type="email" autocomplete="username" required></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<label>Code of your second factor, if you have one<input name="otp" autocomplete="one-time-code"></label>
<button name="decision" value="allow">Allow</button>
<button name="decision" value="deny"{% if not typed %} formnovalidate{% endif %}>Deny</button>
</form>
{% endif %}
</html>
"""
# Nothing is run, nothing is fetched, and nobody shows it within another page.
_HEADERS = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}


def client_page(
    client: str,
    may: Sequence[str],
    hidden: Sequence[tuple[str, str]],
    action: str,
    *,
    told: str = "",
    status: int = 200,
) -> Response:
    """Return the page that asks whether a client is let in."""
    asks = f"{client} wants to act for you" + (", and may then:" if may else ".")
    return _page(
        {"title": "Let it in?", "asks": asks, "may": may, "hidden": hidden, "action": action, "told": told}, status
    )


def device_page(user_code: str, action: str, *, told: str = "", status: int = 200) -> Response:
    """Return the page that asks which device is let in."""
    asks = "A device shows a code. Type it in only if it is yours."
    more = {"asks": asks, "typed": True, "user_code": user_code, "action": action, "told": told}
    return _page({"title": "Let a device in?", "hidden": (), **more}, status)


def done_page(done: str) -> Response:
    """Return the page that says what was done."""
    return _page({"title": "Done", "done": done}, 200)


def return_page(code: str, state: str) -> Response:
    """Return the page that shows what an outside provider sent back."""
    return _page(
        {"title": "Back again", "done": "Take this to where you began:", "shown": f"{code} {state}".strip()}, 200
    )


def _page(values: Mapping[str, object], status: int) -> Response:
    return Response(flask.render_template_string(_PAGE, **values), status, _HEADERS)
