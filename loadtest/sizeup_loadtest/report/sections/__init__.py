"""Sections of the page, one a file: results in, a Section out."""

from dataclasses import dataclass

from sizeup_loadtest.report.markup import Markup, join, tag


@dataclass(frozen=True, slots=True)
class ConfigSection:
    """A part of the page with its place in the contents."""

    key: str
    title: str
    short: str
    """Its name in the contents."""
    lead: str
    """What to see in it, in a sentence or two."""
    body: Markup


def written(section: ConfigSection) -> Markup:
    """Return a section as markup."""
    return tag(
        "section",
        tag("h2", section.title, id=f"{section.key}-h"),
        tag("p", section.lead, class_="lead"),
        section.body,
        id=section.key,
        aria_labelledby=f"{section.key}-h",
    )


def figure(chart: Markup | None, blank: str, caption: str | None = None) -> Markup:
    """Return a chart, or in its place why there is none."""
    if chart is None:
        return tag("p", f"Not drawn: {blank}.", class_="missing")
    return tag("figure", chart, tag("figcaption", caption) if caption else None)


def grid(*parts: Markup, class_: str = "grid") -> Markup:
    """Return parts beside each other where there is room."""
    return tag("div", join(parts), class_=class_)
