"""What customers takes and refuses on the wire, and when two e-mail addresses are one."""

import unicodedata
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from orderhouse.customers.schemas import (
    AddCustomer,
    ChangeCustomer,
    ImportCustomer,
    ListCustomers,
)
from orderhouse.kernel.email import email_key
from orderhouse.kernel.pages import LARGEST_OFFSET
from orderhouse.kernel.text import name_key

LIST = TypeAdapter(ListCustomers)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada@Example.COM", "ada@example.com"),
        ("ada@münchen.de", "ada@xn--mnchen-3ya.de"),
        ("ada@MÜNCHEN.de", "ada@XN--MNCHEN-3YA.DE"),
        ("zo\u00eb@example.com", "zoe\u0308@example.com"),
        ("ZO\u00cb@example.com", "zoe\u0308@example.com"),
        ("ada@mu\u0308nchen.de", "ada@m\u00fcnchen.de"),
        ("ada@例え。jp", "ada@例え.jp"),
    ],
)
def test_spellings_of_one_address_have_one_key(one: str, other: str) -> None:
    assert email_key(one) == email_key(other)


@pytest.mark.parametrize(
    "other", ["a.da@example.com", "ada+shop@example.com", "ada@example.org", "ada@mail.example.com"]
)
def test_other_addresses_have_other_keys(other: str) -> None:
    assert email_key(other) != email_key("ada@example.com")


@pytest.mark.parametrize(
    "address",
    [
        "o'brien+tea@shop.example.co.uk",
        "a@b.co",
        "!#$%&'*+-/=?^_`{|}~@example.com",
        "用户@例子.广告",
        f"{'a' * 64}@example.com",
        f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 57}.de",
    ],
)
def test_an_address_is_kept_as_it_was_given(address: str) -> None:
    assert AddCustomer(name="Ada", email=address).email == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "@example.com",
        "ada@",
        "ada@localhost",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "ada@-example.com",
        "ada@exam_ple.com",
        "ada@[127.0.0.1]",
        "ada lovelace@example.com",
        '"ada lovelace"@example.com',
        "ada@@example.com",
        "ada.@example.com",
        ".ada@example.com",
        "a..da@example.com",
        "Ada <ada@example.com>",
        "ada@example.com\n",
        "ada\u200b@example.com",
        "ada\u00a0@example.com",
        "ada\x00@example.com",
        "ada\x85@example.com",
        f"{'a' * 65}@example.com",
        f"{'ä' * 33}@example.com",
        f"ada@{'b' * 64}.com",
        f"{'a' * 64}@{'b' * 63}.{'c' * 63}.{'d' * 59}.de",
        "ada@" + "ä" * 60 + ".de",
    ],
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ValidationError):
        AddCustomer(name="Ada", email=address)


@given(st.emails())
def test_a_key_is_its_own_key(address: str) -> None:
    key = email_key(address)
    assert email_key(key) == key == email_key(address.upper())


@given(st.text())
def test_any_text_is_an_address_or_a_value_error(text: str) -> None:
    with suppress(ValueError):
        assert email_key(text)


@given(st.text(min_size=1, max_size=200))
def test_names_are_sorted_without_regard_to_case_and_composition(name: str) -> None:
    assert name_key(name) == name_key(unicodedata.normalize("NFD", name))
    assert len(name_key(name)) <= 64


@given(st.text(min_size=1, max_size=200))
def test_a_name_is_kept_to_the_byte_or_refused(name: str) -> None:
    try:
        assert AddCustomer(name=name).name == name
    except ValidationError:
        assert name.isspace() or any(unicodedata.category(letter) == "Cc" for letter in name)


@pytest.mark.parametrize("field", ["name", "external_id", "country"])
@pytest.mark.parametrize("text", ["a\x00b", "a\nb", "a\x7fb", "\ud800", "", 7, b"bytes", "x" * 201])
def test_text_that_cannot_be_kept_is_refused(field: str, text: Any) -> None:
    with pytest.raises(ValidationError):
        AddCustomer.model_validate({"name": "Ada", field: text})


@pytest.mark.parametrize("country", ["GB", "United Kingdom", "Côte d'Ivoire", "RSA", "Unspecified"])
def test_a_country_is_named_as_its_source_names_it(country: str) -> None:
    assert AddCustomer(name="Ada", country=country).country == country


@pytest.mark.parametrize("more", [{"id": "1"}, {"active": False}, {"source": "api"}, {"version": 1}, {"nmae": "Ada"}])
def test_what_is_not_known_is_refused(more: dict[str, Any]) -> None:
    for schema, body in ((AddCustomer, {"name": "Ada"}), (ChangeCustomer, {})):
        with pytest.raises(ValidationError):
            schema.model_validate({**body, **more})


def test_a_merge_patch_tells_what_is_left_out_from_what_is_taken_away() -> None:
    assert ChangeCustomer.model_validate({}).model_dump(exclude_unset=True) == {}
    assert ChangeCustomer.model_validate({"email": None}).model_dump(exclude_unset=True) == {"email": None}


@pytest.mark.parametrize("name", [None, "", " "])
def test_a_name_cannot_be_taken_away(name: str | None) -> None:
    with pytest.raises(ValidationError):
        ChangeCustomer.model_validate({"name": name})


def test_a_schema_shows_no_default_that_would_not_be_taken() -> None:
    assert "default" not in ChangeCustomer.model_json_schema()["properties"]["name"]
    assert "required" not in ChangeCustomer.model_json_schema()


def test_an_import_names_its_source_and_brings_no_address() -> None:
    with pytest.raises(ValidationError):
        ImportCustomer(source="shop", external_id="7", name="Ada", email="ada@example.com")  # type: ignore[arg-type]
    with pytest.raises(ValidationError):
        ImportCustomer(source="shop", name="Ada")  # type: ignore[call-arg]


def test_an_offset_goes_so_far_and_the_refusal_tells_how_to_go_further() -> None:
    assert LIST.validate_strings({"offset": str(LARGEST_OFFSET)}).offset == LARGEST_OFFSET
    with pytest.raises(ValidationError, match="cursor"):
        LIST.validate_strings({"offset": str(LARGEST_OFFSET + 1)})


@pytest.mark.parametrize(
    "query", [{"limit": "0"}, {"limit": "201"}, {"offset": "-1"}, {"active": "yes"}, {"sort": "email"}, {"sort": ""}]
)
def test_no_list_is_longer_or_otherwise_than_it_may_be(query: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        LIST.validate_strings(query)
