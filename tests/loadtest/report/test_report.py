import csv as standard_csv
import io
import json
import re
from html.parser import HTMLParser

import pytest
from markupsafe import Markup

from loadtest import sample_results as sample
from sizeup_loadtest import formatting
from sizeup_loadtest.data.results import Cost, Estimate, Results, SampleOutputs
from sizeup_loadtest.report import csv, html, markdown, terminal, text
from sizeup_loadtest.report.charts import svg
from sizeup_loadtest.report.views import cells, load, page, speed
from sizeup_loadtest.report.views.blocks import Grid, Section, Table
from sizeup_loadtest.report.views.cards import VERDICTS

MALICIOUS = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\u2028\"'&\ud800"
RUNS = {
    "full": sample.results(),
    "empty": sample.empty(),
    "invalid": sample.invalid(),
    "invalid_model": sample.invalid_model(),
}


class ParsedPage(HTMLParser):
    """The page as a browser parses it."""

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


def malicious() -> Results:
    run = sample.results()
    models = (run.models[0].model_copy(update={"name": MALICIOUS}), *run.models[1:])
    samples = (SampleOutputs(prompt=MALICIOUS, outputs={MALICIOUS: MALICIOUS}),)
    update = {"models": models, "samples": samples, "target": MALICIOUS}
    return run.model_copy(update=update)


@pytest.mark.parametrize("name", RUNS)
def test_the_page_is_well_formed_and_self_contained(name: str) -> None:
    rendered = html.render(RUNS[name])
    parsed = ParsedPage(rendered)
    assert parsed.open == []
    ids = [value for key, value in parsed.attributes if key == "id"]
    assert len(ids) == len(set(ids))
    links = [value or "" for key, value in parsed.attributes if key in ("src", "href")]
    assert all(link.startswith("#") and link[1:] in ids for link in links)
    assert "link" not in parsed.tags
    assert "url(" not in rendered
    assert "@import" not in rendered


def test_untrusted_text_is_escaped() -> None:
    rendered = html.render(malicious())
    parsed = ParsedPage(rendered)
    assert parsed.tags.count("script") == 3
    assert "img" not in parsed.tags
    assert not [key for key, _ in parsed.attributes if key.startswith("on")]
    data = re.search(r'<script type="application/json" id="results">(.*?)</script>', rendered)
    assert data
    assert not set("<>&\u2028") & set(data[1])
    assert json.loads(data[1])["samples"][0]["prompt"] == MALICIOUS
    assert rendered.encode()


def test_the_results_are_embedded() -> None:
    rendered = html.render(RUNS["full"])
    data = re.search(r'id="results">(.*?)</script>', rendered)
    assert data
    assert Results.model_validate_json(data[1]) == RUNS["full"]


def test_the_verdict_comes_first() -> None:
    rendered = html.render(RUNS["full"])
    assert rendered.index("<strong>qwen2.5:7b</strong>") < rendered.index('<section id="picture"')


def test_missing_measurements_are_blank() -> None:
    rendered = html.render(RUNS["empty"])
    assert "<svg" not in rendered
    assert rendered.count('class="missing"') == 4
    for phase in ("speed", "capacity", "ability"):
        command = f"sizeup-bench run --only {phase} --scenario size-sweep"
        assert f"{command} --url http://gateway:11434 --models small,large<" in rendered
    cells = re.findall(r'<span class="figure">([^<]*)</span>', rendered)
    assert "0 s" not in cells
    assert "$0" not in cells


@pytest.mark.parametrize(("name", "alerts"), [("invalid", 1), ("invalid_model", 1), ("full", 0)])
def test_invalid_results_have_a_banner(name: str, alerts: int) -> None:
    assert html.render(RUNS[name]).count('role="alert"') == alerts
    assert markdown.render(RUNS[name]).count("> **") == alerts


def test_an_invalid_model_is_named_with_its_reason() -> None:
    reason = "qwen2.5:0.5b: 60 of 80 requests failed"
    for rendered in (html.render(RUNS["invalid_model"]), markdown.render(RUNS["invalid_model"])):
        assert reason in rendered


def test_an_invalid_neighbour_is_not_compared_and_cannot_be_recommended() -> None:
    run = RUNS["full"]
    chosen = [m.name for m in run.models].index("qwen2.5:7b")
    for step in (-1, 1):
        models = list(run.models)
        other = models[chosen + step].model_copy(update={"invalid_reason": "no response"})
        models[chosen + step] = other
        rendered = html.render(run.model_copy(update={"models": tuple(models)}))
        assert f"<b>{other.name}</b>: invalid.</li>" in rendered
        cards = page.view(run.model_copy(update={"models": tuple(models)})).cards
        assert [card.name for card in cards if card.mark == VERDICTS["invalid"]] == [other.name]


@pytest.mark.parametrize(
    ("change", "load_text"),
    [
        ({}, "1 user"),
        ({"level": 16}, "16 users"),
        ({"mode": "open", "level": 0.5}, "0.5 requests/s"),
    ],
)
def test_latency_names_its_load(change: dict[str, object], load_text: str) -> None:
    run = RUNS["full"]
    models = tuple(
        m.model_copy(update={"stages": (m.stages[0].model_copy(update=change),)})
        for m in run.models
    )
    run = run.model_copy(update={"models": models})
    assert f"Latency: {load_text};" in markdown.render(run)
    assert terminal.table(run).title == f"size-sweep, {load_text}"
    section = speed.section(run)
    assert section
    assert section.lead.lower().startswith(load_text)


def test_without_stages_there_is_no_load_to_name() -> None:
    assert text.lightest_load(RUNS["empty"].models) == text.lightest_load([]) == "lightest load"


def test_max_load_is_a_lower_bound_where_the_client_was_late() -> None:
    run = RUNS["full"]
    first = run.models[0]
    assert first.capacity
    assert first.capacity.max_load
    late = first.capacity.model_copy(update={"client_late": True, "bounded_by_limit": False})
    for capacity, mark in ((first.capacity, ""), (late, "≥ ")):
        model = first.model_copy(update={"capacity": capacity})
        written = f"{mark}{formatting.tick(first.capacity.max_load)} users"
        one = run.model_copy(update={"models": (model,)})
        assert cells.max_load(capacity).text == written
        assert f">{written}</span>" in html.render(one)
        assert f"| {written} |" in markdown.render(one)
        assert ("the client was late" in html.render(one)) is bool(mark)
        assert f"max_load,users,{first.capacity.max_load}," in csv.render(one)


def test_memory_and_load_time_have_their_source() -> None:
    notes = {
        (one.cell.text, one.cell.note)
        for card in page.view(RUNS["full"]).cards
        for one in (*card.criteria, *card.details)
    }
    assert notes >= {
        ("1.79 GB", "on GPUs"), ("1.95 s", "cold start"), ("2.90 s", "by the server"),
    }  # fmt: skip


def test_a_blank_percentile_has_the_number_of_requests_it_needs() -> None:
    assert "368 requests" in html.render(RUNS["full"])
    assert "needs 6 requests" in markdown.render(RUNS["full"])


def charts(section: Section | None) -> str:
    assert section
    grids = (block for block in section.blocks if isinstance(block, Grid))
    return "".join(chart or "" for grid in grids for chart in grid.charts)


def test_speed_is_beside_its_bound_and_columns_without_values_are_left_out() -> None:
    model = RUNS["full"].models[0]
    for bound in (500.0, None):
        one = model.model_copy(update={"bound_tok_s": bound})
        section = speed.section(RUNS["full"].model_copy(update={"models": (one,)}))
        assert section
        [means] = [block for block in section.blocks if isinstance(block, Table)]
        notes = [cell.note for cell in means.rows[0].cells]
        assert ("of 500" in notes) is (bound is not None)
        assert len(means.heads) == len(notes) + 1
        assert means.rows[0].cells[0].bar == 1


def test_a_model_without_latency_is_blank_for_that_reason_alone() -> None:
    first, second, *_ = RUNS["full"].models
    models = (first.model_copy(update={"stages": ()}), second)
    section = speed.section(RUNS["full"].model_copy(update={"models": models}))
    assert section
    [means] = [block for block in section.blocks if isinstance(block, Table)]
    assert {cell.reason for cell in means.rows[0].cells} == {cells.NO_STAGE}


def test_cost_and_capacity_have_the_unit_of_their_load() -> None:
    run = RUNS["full"]
    cost = Cost(
        price_per_hour=1, per_million_output_tokens=Estimate(value=2), at_level=96,
        at_mode="closed", within_slo=False, per_correct_answer=None,
    )  # fmt: skip
    for mode, load_text in (("closed", "96 users"), ("open", "96 requests/s")):
        at = cost.model_copy(update={"at_mode": mode})
        assert cells.cost_per_million(at).note == f"per M tokens, at {load_text}, outside the SLO"
        model = run.models[0].model_copy(update={"cost": at})
        rendered = csv.render(run.model_copy(update={"models": (model,)}))
        assert f"cost_level,{load_text.partition(' ')[2]},96" in rendered
        assert "max_load,users," in rendered


def test_ttft_of_an_open_loop_is_from_schedule() -> None:
    run = RUNS["full"]
    assert "from schedule</title>" not in charts(load.section(run))
    capacity = run.models[0].capacity
    assert capacity
    opened = capacity.model_copy(update={"mode": "open"})
    models = tuple(m.model_copy(update={"capacity": opened}) for m in run.models)
    opened_run = run.model_copy(update={"models": models})
    assert "TTFT p95 from schedule</title>" in charts(load.section(opened_run))


def test_a_knee_between_loads_has_three_digits() -> None:
    run = RUNS["full"]
    capacity = run.models[0].capacity
    assert capacity
    bent = capacity.model_copy(update={"knee": 10.8453947})
    model = run.models[0].model_copy(update={"capacity": bent})
    rendered = html.render(run.model_copy(update={"models": (model, *run.models[1:])}))
    assert "knee 10.8<" in rendered


def test_every_drawing_has_a_title_and_a_description() -> None:
    rendered = html.render(RUNS["full"])
    assert rendered.count("<svg") == rendered.count("<desc") >= 5
    for key in re.findall(r'<svg [^>]*aria-labelledby="([^"]+)"', rendered):
        assert all(f'id="{part}"' in rendered for part in key.split())


def test_every_row_of_a_table_has_a_cell_per_column() -> None:
    for run in RUNS.values():
        for section in page.view(run).sections:
            tables = [block for block in section.blocks if isinstance(block, Table)]
            for table in tables:
                assert {len(row.cells) + 1 for row in table.rows} <= {len(table.heads)}


def test_svg_escapes_text_but_not_markup() -> None:
    made = svg.tag("p", "<b>", Markup("<i></i>"), title='"')
    assert made == '<p title="&#34;">&lt;b&gt;<i></i></p>'


def test_csv_has_every_metric_and_blanks() -> None:
    rows = list(standard_csv.DictReader(io.StringIO(csv.render(RUNS["full"]))))
    first = {r["metric"]: r for r in rows if r["stage"] == "closed-1-fixed"}
    assert float(first["tpot/p50"]["value"]) > 0
    assert first["tpot/p99"]["value"] == ""
    blank = list(standard_csv.DictReader(io.StringIO(csv.render(RUNS["empty"]))))
    assert {row["value"] for row in blank} == {""}


def test_csv_has_no_formulas() -> None:
    run = RUNS["full"]
    named = run.models[0].model_copy(update={"name": "=HYPERLINK(1)"})
    rendered = csv.render(run.model_copy(update={"models": (named,)}))
    assert all(line.startswith("'=") for line in rendered.splitlines()[1:])


def test_markdown_is_escaped() -> None:
    assert not re.search(r"(?<!\\)[<&]", markdown.render(malicious()))


@pytest.mark.parametrize(
    ("value", "written"), [(0.1844, "184 ms"), (1.2, "1.20 s"), (210, "3.50 min"), (0, "0 s")]
)
def test_seconds(value: float, written: str) -> None:
    assert formatting.seconds(value) == written
