"""Tables of results."""

from benchmarks.results import load, run, sample
from engine_peers.tables import HEAD, load_rows, run_page, summary_table, text_table


def test_a_row_has_every_column_and_the_first_peer_no_ratio() -> None:
    measured = run(load([sample(1.0)], [sample(2.0)]))
    rows = list(load_rows(measured, measured.loads[0]))
    assert [len(row) for row in rows] == [len(HEAD)] * 2
    assert [row[0] for row in rows] == ["sizeup", "llama.cpp bfloat16"]
    assert [row[HEAD.index("ratio")] for row in rows] == ["", "2.00 (2.00 to 2.00)"]
    assert [row[HEAD.index("of bandwidth")] for row in rows] == ["120%", "120%"]


def test_text_columns_are_aligned() -> None:
    assert text_table(("a", "bc"), [("long", "1")]) == "a     bc\nlong   1"


def test_a_page_has_the_command_and_a_table_per_load() -> None:
    measured = run(load([sample(1.0)], [sample(2.0)]), load([sample(1.0)], [sample(2.0)]))
    page = run_page(measured)
    assert measured.command in page
    assert page.count("| TTFT p50 s |") == 2


def test_a_summary_has_a_row_per_load() -> None:
    measured = run(load([sample(1.0)], [sample(2.0)]))
    assert summary_table(measured).splitlines() == [
        "| streams | prompt | sizeup, tokens/s | llama.cpp bfloat16 |",
        "| --- | ---: | ---: | ---: |",
        "| 2 | 8 | 8.0 | 2.00 (2.00 to 2.00) |",
    ]
