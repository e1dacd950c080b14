import pyarrow as pa
import pyarrow.compute as pc
import pytest

from spfedrec_cli.data.ids import (
    FORMS,
    Form,
    dense,
    fitting,
    look_up,
    near_id,
    otherwise,
    restore,
    several_ways,
    stand_in,
)
from spfedrec_cli.errors import InputError

ARTICLE, NUMBER, CUSTOMER = FORMS["article"], FORMS["number"], FORMS["customer"]


def matching(ids: list[str], form: Form) -> list[bool]:
    return list(pc.match_substring_regex(pa.array(ids), form.pattern).to_pylist())


@pytest.mark.parametrize(
    "form, good, bad",
    [
        ("article", "0663713001", "06637130010"),
        ("article", "663713001", "663713001.5"),
        ("article", "663713001.0", "1e5"),
        ("article", "1", ""),
        ("customer", "0a" * 32, "0A" * 32),
        ("customer", "9f" * 32, "9f" * 31),
        ("number", "0", "00"),
        ("number", "943", "-1"),
    ],
)
def test_forms(form: str, good: str, bad: str) -> None:
    assert matching([good, bad, good], FORMS[form]) == [True, False, True]


@pytest.mark.parametrize(
    "ids, said",
    [
        (
            ["0663", "663", "a"],
            "1 item is written in several ways, as '0663' and '663': write ids alike where they mean",
        ),
        (["a", " A", "b ", "x", "b", "a "], "2 items are written in several ways, as 'a' and ' A': write"),
        (["7.0", "x", "7.5", "7"], "1 item is written in several ways, as '7.0' and '7'"),
        (["Jos\u00e9", "Jose\u0301"], r"1 item is written in several ways, as 'Jos\xe9' and 'Jose\u0301': write"),
        (["１２", "ab\u200b", "12", "\ufeffab"], r"2 items are written in several ways, as '\uff11\uff12' and '12'"),
        (["10", "1", "1.5", "x.0y", "é", "E"], ""),
        ([], ""),
    ],
)
def test_ids_that_are_written_in_several_ways(ids: list[str], said: str) -> None:
    assert "".join(several_ways(pa.array(ids, pa.string()), "item")).startswith(said)
    assert bool(said) == bool(several_ways(pa.array(ids, pa.string()), "item"))


@pytest.mark.parametrize(
    "bought, described, said",
    [
        (["7", "8", "120"], ["007", "008", "120"], "2 items are written in several ways, as '7' and '007': write ids"),
        (["a", "x"], ["A", "x", "y"], "1 item is written in several ways, as 'a' and 'A': write ids alike"),
        (["a", "A"], ["a", "A"], ""),
        (
            ["7"],
            ["007"],
            "t.csv describes no item of the purchases: write ids alike in both, as '007' there and '7' in",
        ),
        (["7"], [], ""),
        ([], ["7"], ""),
    ],
)
def test_a_table_that_writes_some_ids_otherwise_is_told(bought: list[str], described: list[str], said: str) -> None:
    found = otherwise(pa.array(bought, pa.string()), pa.array(described, pa.string()), "item", "t.csv")
    assert "".join(found).startswith(said)
    assert bool(found) == bool(said)


@pytest.mark.parametrize(
    "of_one, of_each, others, told",
    [
        (200, 4, 30, True),
        (40, 4, 30, True),
        (39, 4, 30, False),
        (100, 1, 18, False),
        (100, 1, 19, True),
        (9, 1, 91, False),
    ],
)
def test_a_customer_that_stands_for_many_is_told(of_one: int, of_each: int, others: int, told: bool) -> None:
    """Shops write 0 or guest for all whom they do not know: a tenth of all rows, ten times what others have."""
    ids = pa.array(["0"] * of_one + [f"u{n}" for n in range(others)] * of_each).dictionary_encode()
    all = of_one + others * of_each
    said = (
        f"{of_one} of {all} purchases are of one customer, '0': where it stands for all who are not known, leave it out"
    )
    assert stand_in(ids, "Customer ID") == [f"{said} with --where 'Customer ID!=0'"] * told


def test_only_articles_get_their_zeros_back() -> None:
    mended, sentence = restore(pa.array(["663713001", "0663713001"]), ARTICLE)
    assert mended.to_pylist() == ["0663713001", "0663713001"]
    assert sentence == "had lost their leading zeros: 1 restored"
    assert restore(pa.array(["7"]), NUMBER)[0].to_pylist() == ["7"]


@pytest.mark.parametrize(
    "ids, mended, count",
    [
        (["17850.0", "3", "-7.00"], ["17850", "3", "-7"], 2),
        (["17850.0", "A"], ["17850.0", "A"], 0),  # one that is no number: they are texts
        (["1.5", "2.0"], ["1.5", "2.0"], 0),
        (["17850", "3"], ["17850", "3"], 0),
    ],
)
def test_whole_numbers_that_became_decimals_are_mended_by_column(ids: list[str], mended: list[str], count: int) -> None:
    found, sentence = restore(pa.array(ids), FORMS["any"])
    assert found.to_pylist() == mended
    assert sentence == (f"had become decimals, as 17850.0 for 17850: {count} restored" if count else "")


@pytest.mark.parametrize(
    "ids, mended, count",
    [
        (["1e+05", "99999", "1.5e+05"], ["100000", "99999", "150000"], 2),  # as R writes them
        (["1.2345678E7", "2.50E1", "-1.0E3"], ["12345678", "25", "-1000"], 3),  # as Java does
        (["4,71E+12", "3"], ["4710000000000", "3"], 1),  # as Excel does where decimals have a comma
        (["1,000", "2"], ["1,000", "2"], 0),
        (["1.25e+01", "3.0"], ["1.25e+01", "3.0"], 0),  # one that is not whole
        (["1e5", "12e4", "3"], ["1e5", "12e4", "3"], 0),  # such are texts: no program writes numbers so
    ],
)
def test_whole_numbers_that_got_an_exponent_are_mended_by_column(ids: list[str], mended: list[str], count: int) -> None:
    found, sentence = restore(pa.array(ids), FORMS["any"])
    assert found.to_pylist() == mended
    start = f"had become decimals, as 1.5e+05 for 150000: {count} restored; where digits were cut off"
    assert sentence.startswith(start) if count else not sentence


@pytest.mark.parametrize(
    "ids, told", [(["4.71112E+12", "A-1", "4,71113E+12"], 2), (["1.5E3", "A-1", "1E+03", "v1.2E+1234", "4.7E+12x"], 0)]
)
def test_numbers_that_a_spreadsheet_shortened_among_texts_are_told(ids: list[str], told: int) -> None:
    """Barcodes beside codes with letters: different ones are one now, and nothing can bring them back."""
    found, sentence = restore(pa.array(ids), FORMS["any"])
    assert found.to_pylist() == ids
    start = f"are numbers that a spreadsheet shortened, as {ids[0]}: {told}; where digits were cut off, different ids"
    assert sentence.startswith(start) if told else not sentence


def test_dense_numbers_are_places_among_the_known() -> None:
    assert dense(pa.array(["e", "b", "a"]), pa.array(["a", "c", "e"])).tolist() == [2, -1, 0]


def test_look_up_forgives_what_is_harmless() -> None:
    known = pa.chunked_array([["0000000001"], [], ["0663713001"]], pa.string())
    assert look_up(["663713001", " 0663713001 ", "1"], known, ARTICLE, "an article").tolist() == [1, 1, 0]


def test_look_up_names_a_near_id() -> None:
    known = pa.chunked_array([["0108775015"], ["0663713001"]])
    with pytest.raises(InputError, match=r"an article with the id 0663713002; did you mean 0663713001"):
        look_up(["0108775015", "663713002"], known, ARTICLE, "an article")


def test_look_up_names_the_form() -> None:
    with pytest.raises(InputError, match=r"'abc' is not a customer id; a customer id is 64 hexadecimal digits"):
        look_up(["abc"], pa.chunked_array([["0" * 64]]), CUSTOMER, "a customer")


def test_nothing_is_near_where_not_even_the_first_character_is_shared() -> None:
    assert near_id("999", pa.chunked_array([["100", "200"]])) is None


@pytest.mark.parametrize("form, rest", [(CUSTOMER, "0" * 63), (ARTICLE, "0" * 9)])
def test_a_glance_at_all_bytes_agrees_with_the_pattern(form: Form, rest: str) -> None:
    for letter in (*map(chr, range(128)), "é", "\uff10"):
        ids = [rest + rest[0], rest[: len(rest) + 1 - len(letter.encode())] + letter]
        fits = fitting(pa.array(ids), form)
        assert (fits is None) == all(matching(ids, form))
        assert fits is None or fits.to_pylist() == [True, False]
