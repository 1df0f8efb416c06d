"""What several shapes of auth have in common: paths, fields, and how strictly they are read."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from orderhouse.auth.passwords import LONGEST, SHORTEST
from orderhouse.kernel.principal import PERMISSIONS

AUTH = "/v1/auth"
ID = "0197f0e2-7b7a-7c3a-9f52-6f1d2b3c4d5e"
Password = Annotated[str, Field(min_length=1, max_length=LONGEST, examples=["correct horse battery staple"])]

NewPassword = Annotated[
    str,
    Field(
        min_length=SHORTEST,
        max_length=LONGEST,
        examples=["correct horse battery staple"],
        description="Ten characters or more of any kind; common ones are refused.",
    ),
]

Secret = Annotated[str, Field(min_length=1, max_length=512)]
Code = Annotated[str, Field(min_length=6, max_length=32, examples=["492039"])]
IdOut = Annotated[str, Field(examples=[ID], json_schema_extra={"format": "uuid"})]


def _known(permission: str) -> str:
    if permission not in PERMISSIONS:
        raise ValueError("must be one of the permissions there are")
    return permission


Permission = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(PERMISSIONS)})]


class Schema(BaseModel):
    """A shape that is read strictly, and whose errors say nothing of what was sent: that may be a password."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)
