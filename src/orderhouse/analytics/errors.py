"""Why analytics refuses."""

from orderhouse.kernel.errors import Conflict, Invalid


class RangeInvalid(Invalid):
    """The range must begin before it ends, and span ten years at most."""

    code = "range_invalid"


class ZoneUnknown(Invalid):
    """There is no such time zone."""

    code = "zone_unknown"


class LimitNeedsFallingOrder(Invalid):
    """A limit goes with customers, users and countries only; other cuts are told whole."""

    code = "limit_not_allowed"


class CurrencyNeeded(Invalid):
    """There are amounts in several currencies: name one."""

    code = "currency_needed"


class FactsMissing(Conflict):
    """Facts came out of order: one before them is missing."""

    code = "facts_missing"
