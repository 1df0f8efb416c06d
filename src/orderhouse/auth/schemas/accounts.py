"""Accounts, and the passwords to them."""

from pydantic import Field

from orderhouse.auth.schemas.shared import AUTH, NewPassword, Password, Schema, Secret
from orderhouse.kernel.email import Email
from orderhouse.kernel.text import Name

REGISTRATIONS = f"{AUTH}/registrations"
VERIFICATIONS = f"{AUTH}/verifications"
PASSWORD = f"{AUTH}/password"
RESETS = f"{AUTH}/password-resets"


class Register(Schema):
    """Somebody who wants an account."""

    email: Email
    name: Name
    password: NewPassword


class Accepted(Schema):
    """It was taken on; what becomes of it goes by mail, whether or not there is such an account."""

    message: str = Field(examples=["Look into your mail."])


class Verify(Schema):
    """The proof that an address is whose it seems to be: what was sent there, and the password given with it."""

    token: Secret
    password: Password


class ChangePassword(Schema):
    """A password, and the one it is to be."""

    password: Password
    new_password: NewPassword


class AskReset(Schema):
    """Somebody whose password was forgotten."""

    email: Email


class Reset(Schema):
    """What was sent by mail, and the password it is to be."""

    token: Secret
    new_password: NewPassword
