"""Every request body is a `*.json.j2` file beside this one; this is the only place where jinja2 is used."""

import json
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(template: str, /, **values: Any) -> Any:
    """The parsed JSON of `template` (such as `connectors/sagemaker-clip.json.j2`).

    Values enter JSON through the `tojson` filter only, so quotes and braces in them stay data.

    Raises:
        jinja2.UndefinedError: the template needs a value that was not given.
        json.JSONDecodeError: the template did not render to JSON (a defect in the template).
    """
    return json.loads(_environment().get_template(template).render(**values))


@cache
def _environment() -> Environment:
    # autoescape is for HTML; JSON is escaped by `tojson`, whose HTML-safe escapes JSON parsers read back unchanged.
    return Environment(  # noqa: S701
        loader=PackageLoader("neuralshelf.templates", ""),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
