import json

from sizeup.client.terminal_text import json_line, one_line, printable


def test_printable_keeps_every_script_and_emoji() -> None:
    assert printable("你好 👩‍👩‍👧 é\u0301 \u200fשלום") == "你好 👩‍👩‍👧 é\u0301 \u200fשלום"


def test_printable_drops_controls_of_the_terminal() -> None:
    assert printable("a\x1b[2J\x07\x00\r\x7f\x9bb\u202e\u2066") == "a[2Jb"
    assert printable("a\n\tb") == "a\n\tb"


def test_one_line_has_no_line_breaks() -> None:
    assert one_line(" a\n\n\tb\x1b ") == "a b"


def test_json_has_no_control_character_but_the_same_value() -> None:
    value = {"text": "你好\n\x1b\x7f\x9b"}
    line = json_line(value)
    assert json.loads(line) == value
    assert "你好" in line
    assert printable(line) == line
    assert "\n" not in line
