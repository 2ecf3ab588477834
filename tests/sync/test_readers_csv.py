"""CSV against the standard library's parser over the whole file, whatever the table and however it is cut."""

import codecs
import csv
import gzip
import io
from typing import Any

import pytest
from backports import zstd
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sluicegate.sync.readers import base, csv_file
from sluicegate.sync.readers.base import BadRow
from sluicegate.sync.readers.csv_dialect import Dialect, sniff, unique_names
from tests.sync.test_records import CUTS, read

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12) | st.text("\"'\r\n,;\t|ab é", max_size=12)
PACKERS: dict[str, Any] = {
    "": lambda body: body,
    ".gz": gzip.compress,
    ".zst": lambda body: zstd.compress(body[:50]) + zstd.compress(body[50:]),
}


@st.composite
def tables(draw: st.DrawFn) -> list[list[str]]:
    """Rows of one length."""
    width = draw(st.integers(1, 5))
    return draw(st.lists(st.lists(TEXT, min_size=width, max_size=width), min_size=1, max_size=8))


def written(table: list[list[str]], **dialect: Any) -> str:
    text = io.StringIO()
    csv.writer(text, **dialect).writerows(table)
    return text.getvalue()


def expected(text: str, delimiter: str, quote: str) -> list[Any]:
    """The standard library's answer; None: a row that fails."""
    rows: list[Any] = []
    parser = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, quotechar=quote, strict=True)
    while True:
        try:
            row = next(parser)
        except StopIteration:
            break
        except csv.Error:
            row = None
        if row != []:
            rows.append(row)
    if not rows or rows[0] is None:
        return []
    names = unique_names(rows[0])
    return [dict(zip(names, row, strict=True)) if row and len(row) == len(names) else None for row in rows[1:]]


@settings(max_examples=300)
@given(
    tables(),
    # The writer leaves a line end that is not its own unquoted.
    st.sampled_from([("\r\n", csv.QUOTE_MINIMAL), ("\n", csv.QUOTE_ALL), ("\r", csv.QUOTE_ALL)]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]), st.sampled_from(list(PACKERS)), CUTS,
)  # fmt: skip
def test_any_table_in_any_pieces(
    table: list[list[str]], ends: tuple[str, int], encoding: str, packing: str, cuts: list[int]
) -> None:
    table[0] = [f"{number}{cell}" for number, cell in enumerate(table[0])]
    body = PACKERS[packing](written(table, delimiter="\t", lineterminator=ends[0], quoting=ends[1]).encode(encoding))
    found, fault = read("a.tsv" + packing, body, cuts)
    assert fault is None
    assert found == [dict(zip(table[0], row, strict=True)) for row in table[1:]]


@settings(max_examples=500)
@given(st.text("\"'\r\n,;\t|ab é", max_size=60), st.sampled_from(["a.csv", "a.tsv"]), CUTS)
@example('a\n"b\r\r\n\n"\r', "a.csv", [1])
@example('a\n"b"c\n"d\n"\n', "a.csv", [1])
def test_any_text_is_what_the_standard_parser_says(text: str, name: str, cuts: list[int]) -> None:
    dialect = Dialect("\t") if name == "a.tsv" else sniff(text, whole=True)
    wanted = None
    if not (name == "a.csv" and text.lower().startswith("sep=")):
        wanted = expected(text, dialect.delimiter, dialect.quote)
    found, fault = read(name, text.encode(), cuts)
    plain = [None if isinstance(row, BadRow) else row for row in found]
    if fault is None:
        assert plain == wanted
    else:
        assert "never closed" in fault or (not found and "Line " in fault)
        assert wanted is None or wanted[: len(plain)] == plain


@pytest.mark.parametrize("quote", ['"', "'"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@given(rows=st.integers(2, 6), width=st.integers(2, 5), data=st.data())
def test_the_dialect_is_found(delimiter: str, quote: str, rows: int, width: int, data: st.DataObject) -> None:
    cell = st.text(f"ab{delimiter}\n é", max_size=6)
    table = [[f"n{number}" for number in range(width)]]
    table += [[data.draw(cell) for _ in range(width)] for _ in range(rows)]
    quoting = csv.QUOTE_ALL if quote == "'" else csv.QUOTE_MINIMAL
    text = written(table, delimiter=delimiter, quotechar=quote, quoting=quoting)
    found, fault = read("a.csv", text.encode(), [7])
    assert (found, fault) == ([dict(zip(table[0], row, strict=True)) for row in table[1:]], None)


def test_a_delimiter_that_other_rows_do_not_share_is_text() -> None:
    found, _ = read("a.csv", b"name, first;city\nA;B\nC;D\n", [100])
    assert found == [{"name, first": "A", "city": "B"}, {"name, first": "C", "city": "D"}]


def test_the_line_that_tells_excel_the_delimiter_is_no_header() -> None:
    assert read("a.csv", b"sep=|\r\na,b|c\r\n1|2\r\n3\r\n", [4]) == (
        [{"a,b": "1", "c": "2"}, BadRow("Line 4 has 1 cells, the header 2.")], None,
    )  # fmt: skip


@pytest.mark.parametrize("body", [b"", codecs.BOM_UTF8, b"\r\n\n", b"a,b\n", b"a,b"])
def test_a_file_without_rows_has_no_record(body: bytes) -> None:
    assert read("a.csv", body, [1]) == ([], None)


def test_names_are_made_unique() -> None:
    assert unique_names(["a", "", "a", "a_2", " ", "a", "column_2"]) == [
        "a", "column_2_2", "a_3", "a_2", "column_5", "a_4", "column_2",
    ]  # fmt: skip


@given(st.lists(st.sampled_from(["", "a", "a_2", "a_3", "column_1", "column_2", "column_2_2", " "]), max_size=8))
def test_names_are_always_unique(header: list[str]) -> None:
    names = unique_names(header)
    assert len(set(names)) == len(names) == len(header)
    assert all(name.strip() for name in names)


def test_bad_rows_name_their_line_and_fail_alone() -> None:
    body = b'a,b\n"two\nlines",1\n\nshort\n1,2,3\n"x"y,2\nok,\xff\nlast,"\xc3\xa9"'
    found, fault = read("a.csv", body, [3])
    assert fault is None
    assert found[0] == {"a": "two\nlines", "b": "1"}
    assert [row.message for row in found[1:5]] == [
        "Line 5 has 1 cells, the header 2.",
        "Line 6 has 3 cells, the header 2.",
        "Line 7: ',' expected after '\"'.",
        "Line 8 is not valid UTF-8 (or UTF-16).",
    ]
    assert found[5:] == [{"a": "last", "b": "é"}]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("cut", [1, 2, 3, 5, 8, 100])
def test_lines_are_counted_as_an_editor_counts_them(end: str, cut: int) -> None:
    lines = ["a,b", '"one', "two", "three", 'four",2', "", "short", '1,"x', 'y"', "short"]
    # A .csv as short as this is looked at as a whole first.
    found, _ = read("a.tsv", end.join(lines).replace(",", "\t").encode(), [cut])
    messages = [row.message[:7] for row in found if isinstance(row, BadRow)]
    assert messages == ["Line 7 ", "Line 10"]


def test_what_is_not_guessed_is_said() -> None:
    assert read("a.csv", "naïve,b\n1,2\n".encode("cp1252"), [100])[1] == (
        "The header is not UTF-8. Save the file as UTF-8."
    )
    found, fault = read("a.csv", "a,b\n1,2\n".encode("utf-16")[:-1], [5])
    assert found == [{"a": "1", "b": "2"}] or (fault or "").startswith("Not UTF-16")
    assert fault is not None


def test_a_quote_that_is_never_closed_ends_the_file_there() -> None:
    found, fault = read("a.csv", b'a,b\n1,2\n3,"4\n5,6\n', [4])
    assert (found, fault) == ([{"a": "1", "b": "2"}], "The quote that opens in the row of line 3 is never closed.")


@pytest.mark.parametrize("cut", [700, 1_000, 3_333, 16_000, 20_000])
def test_a_row_may_be_as_long_as_the_limit(monkeypatch: pytest.MonkeyPatch, cut: int) -> None:
    monkeypatch.setattr(base, "MAX_RECORD_BYTES", 16_000)
    cell = "x\n" * 7_998
    assert read("a.tsv", f'a\n"{cell}"\n'.encode(), [cut]) == ([{"a": cell}], None)
    for longer in (f'a\n"{cell}xx"\n', "a\n" + "x" * 16_001 + "\n", 'a\n"' + cell * 2):
        found, fault = read("a.tsv", longer.encode(), [cut])
        assert (found, fault is not None and "line 2 is longer" in fault) == ([], True)


def test_more_cells_than_a_spreadsheet_has_are_refused() -> None:
    body = ",".join(map(str, range(csv_file.MAX_COLUMNS + 1))).encode() + b"\n"
    assert read("a.csv", body, [1 << 20])[1] == "The row of line 1 has more than 16,384 cells."
    quoted = b"a\n" + b'"\n",' * (csv_file.MAX_COLUMNS + 2) + b"\n"
    assert read("a.csv", quoted, [1 << 20])[1] == "The row of line 2 has more than 16,384 cells."
