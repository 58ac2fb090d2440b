"""Every request body is a `*.json.j2` file beside this one; this is the only place where jinja2 is used.

CloudFormation stacks are `*.yaml.j2` files: YAML with the short tags of functions, such as `!Ref`. Pages are
`*.html.j2` files, in which every value is escaped.
"""

import json
import re
import textwrap
from functools import cache
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape


def render(template: str, /, **values: Any) -> Any:
    """The parsed JSON of `template` (such as `connectors/sagemaker-clip.json.j2`).

    Values enter JSON through the `tojson` filter only, so quotes and braces in them stay data.

    Raises:
        jinja2.UndefinedError: the template needs a value that was not given.
        json.JSONDecodeError: the template did not render to JSON (a defect in the template).
    """
    return json.loads(render_text(template, **values))


def render_text(template: str, /, **values: Any) -> str:
    """The text of `template`. In YAML, values enter through the filter `yaml` only, so quotes and braces stay data.

    Raises:
        jinja2.UndefinedError: the template needs a value that was not given.
    """
    return _environment().get_template(template).render(**values)


def parse_stack(text: str) -> Any:
    """A CloudFormation stack in YAML, with the short tags of functions written out: `!Ref A` is `{"Ref": "A"}`.

    Raises:
        yaml.YAMLError: it is no YAML, or has a key twice or an alias, which CloudFormation refuses.
    """
    return yaml.load(text, Loader=_StackLoader)  # noqa: S506 - a SafeLoader


class _StackLoader(yaml.SafeLoader):
    """The safe loader, with functions of CloudFormation, and dates left as the texts they are."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - as PyYAML's own
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="an alias")
        return super().compose_node(parent, index)

    def function(self, name: str, node: yaml.Node) -> dict[str, Any]:
        """`!Name …`"""
        value: Any
        if isinstance(node, yaml.ScalarNode):
            value = self.construct_scalar(node)
            value = value.split(".", 1) if name == "GetAtt" else value
        elif isinstance(node, yaml.SequenceNode):
            value = self.construct_sequence(node, deep=True)
        else:
            assert isinstance(node, yaml.MappingNode)
            value = self.construct_mapping(node, deep=True)
        return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        found = super().construct_mapping(node, deep)
        if len(found) != len(node.value):
            raise yaml.MarkedYAMLError(problem="a key twice", problem_mark=node.start_mark)
        return found


_StackLoader.add_multi_constructor("!", _StackLoader.function)


class _StackDumper(yaml.SafeDumper):
    """The safe dumper, without aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _yaml(value: Any, indent: int = 0) -> str:
    """`value` as YAML in ASCII: a text or a number in the line, all else below it, `indent` spaces in."""
    if not isinstance(value, dict | list | tuple):
        return re.sub(r"[^ -~]", lambda found: f"\\U{ord(found[0]):08x}", json.dumps(value, ensure_ascii=False))
    plain = list(value) if isinstance(value, tuple) else value
    block = yaml.dump(plain, Dumper=_StackDumper, sort_keys=False, default_flow_style=False, width=10_000)
    return "\n" + textwrap.indent(block.rstrip("\n"), " " * indent)


@cache
def _environment() -> Environment:
    # Autoescape is for pages; JSON is escaped by `tojson`, whose HTML-safe escapes JSON parsers read back unchanged.
    made = Environment(
        loader=PackageLoader("neuralshelf.templates", ""),
        autoescape=select_autoescape(("html.j2",), default_for_string=False),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["yaml"] = _yaml
    return made
