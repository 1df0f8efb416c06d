"""One SQL text for both databases."""

from orderhouse.runtime.database.sql import for_postgresql, for_sqlite


def test_parameters_are_numbered_by_name_for_postgresql() -> None:
    text, values = for_postgresql("SELECT :a, :b, :a FROM t WHERE x = :b", {"a": 1, "b": 2, "unused": 3})
    assert (text, values) == ("SELECT $1, $2, $1 FROM t WHERE x = $2", [1, 2])


def test_casts_and_quoted_texts_are_no_parameters() -> None:
    text, values = for_postgresql("SELECT x::bigint, 'it''s :no', :a::text", {"a": 1})
    assert (text, values) == ("SELECT x::bigint, 'it''s :no', $1::text", [1])


def test_a_list_is_one_array_for_postgresql() -> None:
    text, values = for_postgresql("SELECT 1 WHERE id IN :ids AND b = :b", {"ids": [1, 2], "b": 3})
    assert (text, values) == ("SELECT 1 WHERE id = ANY($1) AND b = $2", [[1, 2], 3])


def test_a_list_is_spelled_out_for_sqlite_in_few_lengths() -> None:
    text, values = for_sqlite("SELECT 1 WHERE id IN :ids AND b = :b", {"ids": [1, 2, 3], "b": 4})
    assert text == "SELECT 1 WHERE id IN (:ids_0, :ids_1, :ids_2, :ids_3) AND b = :b"
    assert values == {"ids_0": 1, "ids_1": 2, "ids_2": 3, "ids_3": 3, "b": 4}


def test_an_empty_list_matches_nothing() -> None:
    text, values = for_sqlite("SELECT 1 WHERE 1 IN :ids", {"ids": []})
    assert (text, values) == ("SELECT 1 WHERE 1 IN (:ids_0)", {"ids_0": None})


def test_without_lists_the_text_stays_as_it_is() -> None:
    assert for_sqlite("SELECT :a", {"a": 1}) == ("SELECT :a", {"a": 1})
