"""A run as one self-contained HTML page: no other file, no network, readable without its script.

Answers and names come from servers and are not trusted: all text is escaped (markup.py), the
embedded JSON cannot end its element, and the page's own policy runs no script but the one whose
hash it names and loads nothing.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from importlib.resources import files

from sizeup_loadtest import formatting
from sizeup_loadtest.data.record import Record
from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.charts import palette
from sizeup_loadtest.report.markup import Markup, tag
from sizeup_loadtest.report.sections import (
    ConfigSection,
    ability,
    answers,
    choice,
    load,
    money,
    pairs,
    reference,
    speed,
    validity,
    written,
)


def render(results: Results, records: Sequence[Record] | None = None) -> str:
    """Return the page. `records` are not shown one by one: their figures are in the results."""
    del records
    found = _sections(results)
    return "<!doctype html>\n" + tag(
        "html",
        _head(results),
        tag(
            "body", _top(results), _contents(found), _main(results, found), _data(results), _code()
        ),
        lang="en",
    )


def _sections(results: Results) -> tuple[ConfigSection, ...]:
    return (
        choice.picture(results),
        speed.section(results),
        load.section(results),
        pairs.section(results),
        load.where_time_goes(results),
        money.section(results),
        ability.section(results),
        answers.section(results),
        validity.section(results),
        reference.definitions(),
        reference.environment(results),
    )


def _head(results: Results) -> Markup:
    style = Markup(_file("page.css") + palette.css(len(results.models)))
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        Markup(
            f'<meta http-equiv="Content-Security-Policy" content="default-src \'none\';'
            f" style-src 'unsafe-inline'; script-src '{_hash(_file('page.js'))}'\">"
        ),
        tag("title", f"Which size do you need? {results.scenario}, {results.started_at[:10]}"),
        tag("style", style),
    )


def _top(results: Results) -> Markup:
    told = (
        f"{results.scenario or 'a run'} against {results.target}, {results.started_at[:10]}, "
        f"{formatting.seconds(results.seconds)}, {len(results.models)} sizes, schedule "
    )
    return tag(
        "header",
        tag("h1", "Which size do you need?"),
        tag("p", told, tag("code", results.schedule_hash[:12])),
        validity.banner(results),
    )


def _contents(found: Sequence[ConfigSection]) -> Markup:
    links = (tag("a", section.short, href=f"#{section.key}") for section in found)
    return tag("nav", *links, aria_label="Contents")


def _main(results: Results, found: Sequence[ConfigSection]) -> Markup:
    return tag("main", choice.hero(results), *(written(section) for section in found))


def _data(results: Results) -> Markup:
    """Embed the results so that no text in them can end the element."""
    return Markup(
        f'<script type="application/json" id="results">{embedded(results.model_dump(mode="json"))}'
        "</script>"
    )


def embedded(value: object) -> str:
    """Return JSON without the characters with which HTML or JavaScript could read it otherwise."""
    return (
        json.dumps(value, separators=(",", ":"))  # ASCII: U+2028 and its kin are escaped too
        .replace("<", "\\u003c")
        .replace(">", "\\u003e")
        .replace("&", "\\u0026")
    )


def _code() -> Markup:
    return Markup(f"<script>{_file('page.js')}</script>")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _file(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")
