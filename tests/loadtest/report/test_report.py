import csv as standard_csv
import io
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest

from loadtest import sample_results as sample
from sizeup_loadtest import formatting
from sizeup_loadtest.analysis import selection
from sizeup_loadtest.data.results import Results, SampleAnswers
from sizeup_loadtest.report import csv, html, markdown, terminal
from sizeup_loadtest.report.charts import labels, scales
from sizeup_loadtest.report.markup import Markup, tag
from sizeup_loadtest.report.sections import speed

EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\"'&"
RUNS = {
    "full": sample.results(),
    "empty": sample.empty(),
    "invalid": sample.invalid(),
    "broken": sample.broken(),
}


class Page(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []
        self.text: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in ("meta", "input", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def evil() -> Results:
    run = sample.results()
    models = (run.models[0].model_copy(update={"name": EVIL}), *run.models[1:])
    answers = (SampleAnswers(prompt=EVIL, answers={EVIL: EVIL}),)
    return run.model_copy(update={"models": models, "answers": answers, "target": EVIL})


@pytest.mark.parametrize("name", RUNS)
def test_the_page_is_well_formed_and_needs_nothing_else(name: str) -> None:
    page = html.render(RUNS[name])
    found = Page(page)
    assert found.open == []
    named = [value for key, value in found.attributes if key == "id"]
    assert len(named) == len(set(named))
    links = [value or "" for key, value in found.attributes if key in ("src", "href")]
    assert all(link.startswith("#") and link[1:] in named for link in links)
    assert "link" not in found.tags
    assert "url(" not in page
    assert "@import" not in page


def test_answers_cannot_break_out() -> None:
    page = html.render(evil())
    found = Page(page)
    assert found.tags.count("script") == 2
    assert "img" not in found.tags
    assert not [key for key, _ in found.attributes if key.startswith("on")]
    data = re.search(r'<script type="application/json" id="results">(.*?)</script>', page)
    assert data
    assert not set("<>&\u2028") & set(data[1])
    assert json.loads(data[1])["answers"][0]["prompt"] == EVIL


def test_the_embedded_results_are_the_results() -> None:
    page = html.render(RUNS["full"])
    data = re.search(r'id="results">(.*?)</script>', page)
    assert data
    assert Results.model_validate_json(data[1]) == RUNS["full"]


def test_the_verdict_comes_first_and_names_the_size() -> None:
    page = html.render(RUNS["full"])
    text = " ".join(Page(page[page.index("<main") : page.index("</main>")]).text)
    assert text.index(" is ") < text.index("qwen2.5:7b") < text.index("What a size buys")


def test_what_was_not_measured_says_so() -> None:
    page = html.render(RUNS["empty"])
    assert "<svg" not in page
    assert page.count("Not drawn:") >= 8
    assert "no speed was measured for this size" in page
    cells = re.findall(r'<span class="figure">([^<]*)</span>', page)
    assert "0 s" not in cells
    assert "$0" not in cells


def test_an_invalid_run_carries_a_banner_and_a_valid_one_none() -> None:
    told = "This run is invalid"
    assert told in html.render(RUNS["invalid"])
    assert told in markdown.render(RUNS["invalid"])
    assert told not in html.render(RUNS["full"])
    assert told not in markdown.render(RUNS["full"])


def test_a_broken_size_is_named_and_the_others_are_not_blamed() -> None:
    for text in (html.render(RUNS["broken"]), markdown.render(RUNS["broken"])):
        assert "This run is invalid" not in text
        assert "the others" in text
        assert "qwen2.5:0.5b: 60 of 80 requests failed" in text


def test_the_moved_bar_knows_which_sizes_are_broken_and_no_neighbour_is_compared_with_one() -> None:
    run = RUNS["full"]
    chosen = [m.name for m in run.models].index("qwen2.5:7b")
    for step, word in ((-1, "One size down"), (1, "One size up")):
        models = list(run.models)
        other = models[chosen + step].model_copy(update={"broken": "it does not answer"})
        models[chosen + step] = other
        page = html.render(run.model_copy(update={"models": tuple(models)}))
        assert f"{word}, <b>{other.name}</b>: broken.</li>" in page
        (row,) = re.findall(r'<tr [^>]*data-broken="1.0"[^>]*><th [^>]*><span [^>]*>([^<]*)', page)
        assert row == other.name
    assert "data-broken" not in html.render(run)
    assert '"broken" in row.dataset' in html.render(run)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, "one request at a time"),
        ({"level": 16}, "16 at a time"),
        ({"mode": "open", "level": 0.5}, "0.5 requests/s"),
    ],
)
def test_speed_names_the_load_it_is_of(change: dict[str, object], told: str) -> None:
    run = RUNS["full"]
    models = tuple(
        m.model_copy(update={"stages": (m.stages[0].model_copy(update=change),)})
        for m in run.models
    )
    run = run.model_copy(update={"models": models})
    assert f"Speed: {told}; load and cost" in markdown.render(run)
    assert terminal.table(run).title == f"size-sweep, {told}"
    assert speed.section(run).lead.startswith(f"{told[0].upper()}{told[1:]}; means")
    assert ("One request at a time" in html.render(run)) is (not change)


def test_a_run_without_any_speed_names_no_load() -> None:
    assert formatting.lightest(RUNS["empty"].models) == "the lightest load"
    assert formatting.lightest([]) == "the lightest load"


def test_a_capacity_where_the_client_was_late_is_a_least_one() -> None:
    run = RUNS["full"]
    first = run.models[0]
    assert first.capacity
    assert first.capacity.max_load
    late = first.capacity.model_copy(update={"client_late": True, "bounded_by_limit": False})
    for searched, mark in ((first.capacity, ""), (late, "≥ ")):
        model = first.model_copy(update={"capacity": searched})
        told = f"{mark}{formatting.tick(first.capacity.max_load)}"
        one = run.model_copy(update={"models": (model,)})
        assert formatting.carries(searched) == told
        assert f">{told}</span>" in html.render(one)
        assert f"| {told} |" in markdown.render(one)
        assert ("above it the client was late" in html.render(one)) is bool(mark)
        assert f"capacity,load,{first.capacity.max_load}," in csv.render(one)


def test_definitions_say_what_the_code_does() -> None:
    page = " ".join(Page(html.render(RUNS["empty"])).text)
    assert "the reason why the answer ended" in page
    assert "on a logarithmic scale" in page


def test_memory_and_load_say_where_and_by_whom() -> None:
    page = html.render(RUNS["full"])
    assert "1.79 GB</span><small>on GPUs" in page
    assert "1.95 s</span><small>cold start seen" in page
    assert "2.90 s</span><small>as the server says" in page
    assert "the server does not say its memory" in html.render(RUNS["empty"])


def test_a_blank_percentile_says_how_many_requests_it_takes() -> None:
    assert "p99 takes 368 requests" in html.render(RUNS["full"])
    assert "takes 6 requests" in markdown.render(RUNS["full"])


@pytest.mark.parametrize(("times", "ticks"), [(19, 1), (21, 0)])
def test_a_bound_far_from_what_was_measured_does_not_stretch_the_axis(
    times: float, ticks: int
) -> None:
    model = RUNS["full"].models[0]
    stage = selection.lightest_stage(model)
    assert stage
    assert stage.tpot
    far = model.model_copy(update={"bound_tok_s": times / stage.tpot.mean.value})
    section = speed.section(RUNS["full"].model_copy(update={"models": (far,)}))
    assert section.body.count('class="bound"') == ticks
    assert ("bandwidth bound" in section.lead) is bool(ticks)
    assert f"of {formatting.number(far.bound_tok_s or 0)}" in section.body


def test_an_open_loops_first_token_counts_from_the_schedule_and_says_so() -> None:
    run = RUNS["full"]
    assert "from schedule</title>" not in html.render(run)
    searched = run.models[0].capacity
    assert searched
    opened = searched.model_copy(update={"mode": "open"})
    models = tuple(m.model_copy(update={"capacity": opened}) for m in run.models)
    page = html.render(run.model_copy(update={"models": models}))
    assert "median time to first token, from schedule</title>" in page


def test_a_knee_between_loads_is_written_short() -> None:
    run = RUNS["full"]
    searched = run.models[0].capacity
    assert searched
    bent = searched.model_copy(update={"knee": 10.8453947})
    model = run.models[0].model_copy(update={"capacity": bent})
    page = html.render(run.model_copy(update={"models": (model, *run.models[1:])}))
    assert "knee at load 10.8<" in page


def test_every_drawing_has_a_title_and_a_description() -> None:
    page = html.render(RUNS["full"])
    assert page.count("<svg") == page.count("<desc") >= 12
    for key in re.findall(r'<svg [^>]*aria-labelledby="([^"]+)"', page):
        assert all(f'id="{part}"' in page for part in key.split())


def test_markup_escapes_text_and_keeps_markup() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'


def test_csv_has_every_figure_and_blanks_for_none() -> None:
    read = list(standard_csv.DictReader(io.StringIO(csv.render(RUNS["full"]))))
    first = {r["figure"]: r for r in read if r["stage"] == "closed-1-fixed"}
    assert float(first["tpot/p50"]["value"]) > 0
    assert first["tpot/p99"]["value"] == ""
    blank = list(standard_csv.DictReader(io.StringIO(csv.render(RUNS["empty"]))))
    assert {row["value"] for row in blank} == {""}


def test_csv_gives_no_formula_to_a_spreadsheet() -> None:
    run = RUNS["full"]
    named = run.models[0].model_copy(update={"name": "=HYPERLINK(1)"})
    text = csv.render(run.model_copy(update={"models": (named,)}))
    assert all(line.startswith("'=") for line in text.splitlines()[1:])


def test_markdown_escapes() -> None:
    assert not re.search(r"(?<!\\)[<&]", markdown.render(evil()))


@pytest.mark.parametrize(
    ("value", "told"), [(0.1844, "184 ms"), (1.2, "1.20 s"), (210, "3.50 min"), (0, "0 s")]
)
def test_seconds(value: float, told: str) -> None:
    assert formatting.seconds(value) == told


def test_scales() -> None:
    assert scales.from_zero([3, 93], 0, 100).ticks() == (0, 20, 40, 60, 80, 100)
    assert isinstance(scales.fitting([1, 100], 0, 1), scales.Log)
    assert isinstance(scales.fitting([0, 100], 0, 1), scales.Linear)
    log = scales.Log(1, 100, 0, 200)
    assert log.at(10) == pytest.approx(100)
    assert log.ticks() == pytest.approx((1, 3, 10, 30, 100))


def test_a_label_goes_where_no_line_crosses_it() -> None:
    within = labels.Box(0, 0, 400, 400)
    disc, line = (200.0, 200.0, 5.0), ((100.0, 200.0), (300.0, 200.0))
    (free,) = labels.around([disc], ["a name"], within)
    assert free.anchor == "start"
    assert free.y == pytest.approx(204)
    (moved,) = labels.around([disc], ["a name"], within, [line])
    assert moved.y < 195
    box = labels.Box(10, 10, 20, 20)
    assert box.crossed(((0, 0), (30, 30)))
    assert not box.crossed(((0, 0), (30, 8)))
    assert not box.crossed(((15, 0), (15, 9)))


def test_labels_do_not_cover_each_other() -> None:
    spots = labels.spread([10, 11, 12, 100], 15, 100)
    ordered = sorted(spots)
    assert all(b - a >= 15 - 1e-9 for a, b in pairwise(ordered))
    assert max(ordered) <= 100
