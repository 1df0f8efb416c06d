"""Second factors."""

from pydantic import Field

from orderhouse.auth.schemas.shared import AUTH, Code, Schema

FACTOR = f"{AUTH}/second-factor"


class FactorOut(Schema):
    """Whether there is a second factor."""

    on: bool
    codes_left: int = Field(description="How many recovery codes were not used.")


class FactorOffered(Schema):
    """A second factor that counts once a code of it was sent back."""

    secret: str
    uri: str = Field(examples=["otpauth://totp/Orderhouse:ada%40example.com?secret=…&issuer=Orderhouse"])


class FactorCode(Schema):
    """A code of the second factor."""

    code: Code


class RecoveryCodes(Schema):
    """What stands in for a lost second factor, each good for one use. They are shown this once."""

    codes: list[str]
