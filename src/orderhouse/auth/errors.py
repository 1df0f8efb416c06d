"""Why auth refuses."""

from orderhouse.kernel.errors import Conflict, Forbidden, Invalid, NotFound, TooMany, Unauthenticated, Unavailable


class SignInRefused(Unauthenticated):
    """The e-mail address or the password is wrong."""

    code = "sign_in_refused"


class SecondFactorNeeded(Unauthenticated):
    """This account has a second factor: send its code, or a recovery code, as `code`."""

    code = "second_factor_needed"


class SecondFactorWrong(Unauthenticated):
    """This code is wrong, or was used before."""

    code = "second_factor_wrong"


class CodeWrong(Invalid):
    """This is no code of your second factor, or it was used before."""

    code = "code_wrong"


class PasswordMustChange(Forbidden):
    """This password was good for letting you in once: send the one you choose as `new_password` too."""

    code = "password_must_change"


class RefreshRefused(Unauthenticated):
    """This refresh token is not valid, or not any more: sign in again."""

    code = "refresh_refused"


class TooManyAttempts(TooMany):
    """There were too many attempts; wait, or set a new password by mail."""

    code = "too_many_attempts"


class PasswordsBusy(Unavailable):
    """More passwords are being checked than can be; try again in a moment."""

    code = "passwords_busy"


class PasswordTooWeak(Invalid):
    """This password is too easy to guess; choose another."""

    code = "password_too_weak"


class PasswordWrong(Invalid):
    """This is not your password."""

    code = "password_wrong"


class MailedTokenInvalid(Invalid):
    """This token is not valid, or not any more: ask for another mail."""

    code = "mailed_token_invalid"


class SessionNotFound(NotFound):
    """There is no such session of yours."""

    code = "session_not_found"


class NotAPerson(Forbidden):
    """This is for people who signed in; your token is not of one."""

    code = "not_a_person"


class FactorThere(Conflict):
    """There is a second factor already."""

    code = "second_factor_there"


class FactorMissing(Conflict):
    """There is no second factor."""

    code = "second_factor_missing"


class ApiKeyNotFound(NotFound):
    """There is no such API key of yours."""

    code = "api_key_not_found"


class ApiKeyRefused(Unauthenticated):
    """This API key is not valid."""

    code = "api_key_refused"


class ScopeTooWide(Forbidden):
    """You cannot give more than you may do yourself."""

    code = "scope_too_wide"


class ClientNotFound(NotFound):
    """There is no such client."""

    code = "client_not_found"


class ClientWrong(Invalid):
    """There can be no such client."""

    code = "client_wrong"


class AuthorizationWrong(Invalid):
    """This cannot be answered by sending you back: the client, or where it wants you sent, is not known."""

    code = "authorization_wrong"


class OutsideUnset(NotFound):
    """No outside provider is set up here."""

    code = "outside_unset"


class OutsideRefused(Unauthenticated):
    """The outside provider did not say who you are, or nobody here is known by that; begin again."""

    code = "outside_refused"


class OutsideAway(Unavailable):
    """The outside provider does not answer; try again, or come in by your password."""

    code = "outside_away"
