"""Nothing that a model writes runs, loads, or leaves its column."""

from collections.abc import Iterator

from playwright.sync_api import expect

from gateway.page.fake_gateway import FakeGateway, Json, answer_all, finish, header, summary, text
from gateway.page.opened import OpenPage, ask

HOSTILE = """\
<script>alert(1)</script><img src=x onerror="alert(2)"><svg onload=alert(3)>

<iframe src="http://evil.example/"></iframe>

<meta http-equiv="refresh" content="0;url=http://evil.example/">
<base href="http://evil.example/"><link rel="stylesheet" href="http://evil.example/x.css">
<style>body { display: none }</style><p style="position:fixed;inset:0">over it</p>
<form action="http://evil.example/"><input name="q"></form>

[click me](javascript:alert(4)) [and me](JaVaScRiPt&colon;alert(5))
[data](data:text/html,<script>alert(6)</script>)
<javascript:alert(7)> [local](/api/tags) [good](https://good.example/a "x\\" onmouseover=alert(8)")

![tracker](http://evil.example/pixel.png) ![inline](data:image/svg+xml,<svg/onload=alert(9)>)

| <img src=x onerror=alert(10)> | b |
|---|---|
| `<script>alert(11)</script>` | <b onclick=alert(12)>x</b> |

```html
<script>alert(13)</script>
```

```"><script>alert(14)</script>
x
```

$\\href{javascript:alert(15)}{x}$ $\\includegraphics{http://evil.example/y.png}$ \
$\\class{a" onclick="alert(16)}{z}$ $x^2$

$$\\style{position:fixed}{<img src=x onerror=alert(17)>}$$

[reference][r]

[r]: javascript:alert(18)

The end.
"""
INERT = "script, iframe, meta[http-equiv], base, style, form, img, input, object, embed, link, svg"


def test_hostile_output_is_inert(fake: FakeGateway, open_page: OpenPage) -> None:
    fake.script = answer_all(HOSTILE)
    page = open_page()
    ask(page)
    answers = page.locator(".text")
    expect(answers.last).to_contain_text("The end.")
    expect(answers.locator("math").first).to_be_visible()
    expect(answers.locator(INERT)).to_have_count(0)
    attributes: list[str] = answers.evaluate_all(
        "roots => roots.flatMap(root => [...root.querySelectorAll('*')])"
        ".flatMap(element => element.getAttributeNames())"
    )
    allowed = {"class", "href", "rel", "target", "title", "tabindex", "type", "start"}
    math = {"xmlns", "display", "stretchy", "mathvariant", "form", "lspace", "rspace", "fence"}
    assert set(attributes) <= allowed | math
    links: list[list[str]] = answers.first.locator("a").evaluate_all(
        "links => links.map(link => [link.href, link.rel, link.target])"
    )
    assert {link[0] for link in links} <= {
        "https://good.example/a",
        "http://evil.example/pixel.png",
    }
    assert {tuple(link[1:]) for link in links} == {("noopener noreferrer nofollow", "_blank")}
    expect(page.locator("body")).to_be_visible()
    for text_of in ("click me", "and me", "local"):
        page.get_by_text(text_of, exact=True).first.click()
    assert page.url == fake.url


def test_names_and_errors_are_text_too(fake: FakeGateway, open_page: OpenPage) -> None:
    name = 'evil:<img src=x onerror="alert(1)">'

    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        problem = {"code": "<b>code</b>", "message": "<script>alert(2)</script>"}
        yield {
            "model": name, "sample": 0, "done": True, "done_reason": "error", "failure": problem,
        }  # fmt: skip
        yield summary()

    fake.sizes = [fake.sizes[0] | {"model": name, "family": "evil"}]
    fake.script = script
    page = open_page()
    ask(page, "<img src=x onerror=alert(3)>")
    expect(page.get_by_role("article")).to_contain_text("<script>alert(2)</script>")
    expect(page.get_by_role("heading", name="<img src=x onerror=alert(3)>")).to_be_visible()
    expect(page.locator("main img:not([role]), main script")).to_have_count(0)


def test_markdown_code_and_formulas_are_rendered(fake: FakeGateway, open_page: OpenPage) -> None:
    answer = (
        "## Sum\n\nA **bold** `code` and $a_1 + \\frac{1}{2}$.\n\n1. one\n2. two\n\n"
        "| n | n² |\n|--:|--:|\n| 2 | 4 |\n\n```python\ndef f(x):\n    return x  # same\n```\n\n"
        "$$\\int_0^1 x\\,dx = \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix}$$\n\n"
        "Prices: $5 and $6."
    )
    fake.script = answer_all(answer)
    page = open_page()
    ask(page)
    shown = page.locator(".text").first
    expect(shown.get_by_role("heading", name="Sum")).to_be_visible()
    expect(shown.get_by_role("listitem")).to_have_count(2)
    expect(shown.get_by_role("cell", name="4")).to_be_visible()
    expect(shown.locator(".hljs-keyword").first).to_have_text("def")
    expect(shown.locator("math")).to_have_count(2)
    expect(shown.locator("math[display=block] mtable")).to_be_visible()
    expect(shown).to_contain_text("Prices: $5 and $6.")


def test_wide_answers_scroll_inside_their_column(fake: FakeGateway, open_page: OpenPage) -> None:
    cells = [f"column{n}" for n in range(72)]
    table = "|".join(["", *cells, ""]) + "\n" + "|---" * 72 + "|\n" + "|".join(["", *cells, ""])
    code = "```\n" + "x = y + z; " * 200 + "\n```"
    formula = "$$" + " + ".join(f"x_{{{n}}}" for n in range(200)) + "$$"
    fake.script = answer_all(f"{table}\n\n{code}\n\n{formula}\n\n{'unbroken' * 300}\n\nEnd.")
    page = open_page(viewport={"width": 1000, "height": 800})
    ask(page)
    expect(page.locator(".text").last).to_contain_text("End.")
    expect(page.locator(".text math").last).to_be_visible()
    for width in (1000, 360):
        page.set_viewport_size({"width": width, "height": 800})
        expect(page.get_by_role("table", name="Figures")).to_be_visible()
        overflow: int = page.evaluate(
            "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        )
        assert overflow <= 0
        columns: list[int] = page.get_by_role("article").evaluate_all(
            "all => all.map(one => one.scrollWidth - one.clientWidth)"
        )
        assert max(columns) <= 0
    scrolled: list[bool] = (
        page.locator(".text")
        .first.locator(".scroll, pre, .formula.display")
        .evaluate_all("all => all.map(one => one.scrollWidth > one.clientWidth)")
    )
    assert scrolled == [True, True, True]


LONGEST_TASK = """
() => {
  window.longest = 0;
  new PerformanceObserver((list) => {
    const durations = list.getEntries().map((entry) => entry.duration);
    window.longest = Math.max(window.longest, ...durations);
  }).observe({ entryTypes: ["longtask"] });
}
"""


def test_a_megabyte_does_not_freeze_the_page(fake: FakeGateway, open_page: OpenPage) -> None:
    pieces = {
        "toy:0.5m": "x" * 20_000,
        "toy:2m": "A paragraph of **words**.\n\n" * 700,
        "toy:5m": "| a | b |\n" * 2_000,
    }

    def script(body: Json) -> Iterator[Json]:
        yield header(body)
        for _ in range(50):
            for model, piece in pieces.items():
                yield text(model, piece, tokens=5000)
        for model, piece in pieces.items():
            yield finish(model, piece * 50 + "\n\nThe end.")
        yield summary(body["models"])

    fake.script = script
    page = open_page()
    page.evaluate(LONGEST_TASK)
    ask(page)
    expect(page.locator(".text").last).to_contain_text("The end.", timeout=30_000)
    expect(page.locator(".text").first).to_contain_text("The end.")
    longest: float = page.evaluate("window.longest")
    assert longest < 2_000
    page.get_by_role("button", name="Theme").click()
