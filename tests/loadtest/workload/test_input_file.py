import codecs
import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from sizeup_loadtest.errors import ConfigError
from sizeup_loadtest.workload import input_file

A, B = '{"a": "1"}', '{"a": "2"}'
TWO = [{"a": "1"}, {"a": "2"}]


def read(folder: Path, data: bytes | str, name: str = "f.jsonl") -> list[Mapping[str, object]]:
    file = folder / name
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    return [value for _, value in input_file.entries(file, "prompts.file")]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (f"{A}\n{B}", "f.jsonl"),
        (f"{A}\r\n\r\n{B}\r\n", "f.jsonl"),
        (codecs.BOM_UTF8 + f"{A}\n".encode() + codecs.BOM_UTF8 + B.encode(), "f.jsonl"),
        (f"\n [\n {A},\n {B}\n]\n", "f.json"),
        (codecs.BOM_UTF8 + f"[{A},{B}]".encode(), "f.jsonl"),
        ("a\n1\n2\n", "f.csv"),
        (codecs.BOM_UTF8 + b"a\r\n1\r\n\r\n2\r\n", "F.CSV"),
    ],
)
def test_every_format_gives_the_same_objects(tmp_path: Path, data: bytes | str, name: str) -> None:
    assert read(tmp_path, data, name) == TWO


@pytest.mark.parametrize("character", ["\u2028", "\u2029", "\u0085", "\x0c", "\ufeff", "😀"])
def test_a_character_that_python_takes_for_a_line_end_stays_in_its_string(
    tmp_path: Path, character: str
) -> None:
    value = {"a": f"x{character}y"}
    if character != "\x0c":  # JSON has it escaped only
        assert read(tmp_path, json.dumps(value, ensure_ascii=False)) == [value]
    assert read(tmp_path, json.dumps(value)) == [value]
    assert read(tmp_path, f'a\n"x{character}y"\n', "f.csv") == [value]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_csv_has_quoted_fields_of_several_lines(tmp_path: Path, delimiter: str) -> None:
    text = f'q{delimiter}a\n"one\ntwo, ""three"";"{delimiter}4\n'
    assert read(tmp_path, text, "f.csv") == [{"q": 'one\ntwo, "three";', "a": "4"}]


def test_a_field_and_a_line_may_be_long(tmp_path: Path) -> None:
    value = {"a": "x" * 1_000_000}
    assert read(tmp_path, json.dumps(value)) == [value]
    assert read(tmp_path, f"a\n{value['a']}\n", "f.csv") == [value]


@pytest.mark.parametrize(
    ("second", "name"),
    [
        ("{", "f.jsonl"),
        ("[1]", "f.jsonl"),
        ("3", "f.jsonl"),
        (f"{A}{B}", "f.jsonl"),
        ('{"a": 1, "a": 2}', "f.jsonl"),
        ('{"b": {"a": 1, "a": 2}}', "f.jsonl"),
        ('{"a": "lone \\ud800"}', "f.jsonl"),
        ('{"a": ["\\udfff"]}', "f.jsonl"),
        ('{"\\ud800": 1}', "f.jsonl"),
        ('{"a": "\\u0000"}', "f.jsonl"),
        ('{"a": "\0"}', "f.jsonl"),
        ('{"a": ' + "9" * 5000 + "}", "f.jsonl"),
        ('{"a": ' + "[" * 100_000, "f.jsonl"),
        (b'{"a": "\xff"}', "f.jsonl"),
        ("1,2", "f.csv"),
        ("\0", "f.csv"),
        ('"open', "f.csv"),
    ],
)
def test_a_fault_is_one_line_that_names_the_file_and_the_line(
    tmp_path: Path, second: str | bytes, name: str
) -> None:
    head = b"a\n" if name == "f.csv" else A.encode() + b"\n"
    tail = second if isinstance(second, bytes) else second.encode()
    with pytest.raises(ConfigError, match=rf"prompts\.file: .*{name} line 2") as caught:
        read(tmp_path, head + tail, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        f"[\n{A},\n3]",
        f"[\n{A},\n{{]",
        f"[\n{A}\n,",
        f"[\n{A},\n{B}",
        f"[\n{A},\n{B} {B}]",
        f"[\n{A}\n] 3",
    ],
)
def test_a_fault_of_an_array_names_the_line(tmp_path: Path, data: str) -> None:
    with pytest.raises(ConfigError, match=r"f\.json line 3"):
        read(tmp_path, data, "f.json")


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "f.jsonl"),
        (b"\xef\xbb\xbf\n", "f.jsonl"),
        (b"[]", "f.json"),
        (b"", "f.csv"),
        (b"a\n", "f.csv"),
        (b"a,a\n1,2\n", "f.csv"),
        (b"a,\n1,2\n", "f.csv"),
        (gzip.compress(A.encode(), mtime=0), "f.jsonl.gz"),
        (b"PAR1....", "f.parquet"),
        (A.encode("utf-16"), "f.jsonl"),
    ],
)
def test_a_file_without_entries_is_refused(tmp_path: Path, data: bytes, name: str) -> None:
    with pytest.raises(ConfigError, match=r"prompts\.file: ") as caught:
        read(tmp_path, data, name)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", Path("a\0b")):
        with pytest.raises(ConfigError, match=r"prompts\.file: "):
            list(input_file.entries(path, "prompts.file"))


def test_a_file_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(input_file, "MAX_BYTES", len(A))
    assert read(tmp_path, A) == TWO[:1]
    with pytest.raises(ConfigError, match="larger than"):
        read(tmp_path, A + "\n")
