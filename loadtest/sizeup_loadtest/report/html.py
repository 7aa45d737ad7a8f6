"""The report as one self-contained HTML page: no other file, no network, readable without script.

Outputs and names come from servers and are not trusted: templates escape all text, the embedded
JSON cannot end its element, and the page's Content-Security-Policy allows only its own script, by
hash, and loads nothing.
"""

import base64
import hashlib
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from sizeup_loadtest.data.results import Results
from sizeup_loadtest.report.charts import palette
from sizeup_loadtest.report.views import page

_ENVIRONMENT = Environment(
    loader=PackageLoader("sizeup_loadtest.report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.policies["json.dumps_kwargs"] = {"separators": (",", ":")}


def render(results: Results) -> str:
    """Return the page; characters that UTF-8 cannot encode (lone surrogates) become `?`."""
    script = _file("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    html = _ENVIRONMENT.get_template("page.html").render(
        page=page.view(results),
        results=results.model_dump(mode="json"),
        style=Markup(_file("page.css") + palette.css(len(results.models))),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
    )
    return html.encode("utf-8", "replace").decode()


def _file(name: str) -> str:
    return files("sizeup_loadtest.report").joinpath("templates", name).read_text(encoding="utf-8")
