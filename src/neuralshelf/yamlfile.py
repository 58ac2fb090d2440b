"""Read one YAML file safely: bounded, no aliases, no duplicate keys, no tags, errors with file and line."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from neuralshelf.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_DEPTH = 20


class _Refused(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: Any) -> None:
        super().__init__(problem=problem, problem_mark=mark)


class _Loader(yaml.SafeLoader):
    """YAML 1.1 safe loader that refuses what makes configuration files surprising or dangerous."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _Refused("aliases are not allowed", event.start_mark)
        self.depth += 1
        try:
            if self.depth > MAX_DEPTH:
                problem = f"nested over {MAX_DEPTH} levels deep"
                raise _Refused(problem, event.start_mark)
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"key {key!r} is read as {type(key).__name__}, write it in quotes"
                raise _Refused(problem, key_node.start_mark)
            if key in seen:
                raise _Refused(f"duplicate key {key!r}", key_node.start_mark)
            seen.add(key)
        return super().construct_mapping(node, deep)


def load(path: Path) -> dict[str, Any]:
    """The mapping in `path`.

    Raises:
        ConfigError: no such file, over 1 MB, not UTF-8, not YAML, an alias, a tag, a duplicate or non-string key, over
            20 levels deep, or not a mapping at the top.
    """
    try:
        raw = path.read_bytes()
    except OSError as fault:
        raise ConfigError(f"{path}: can't be read ({fault.strerror})", hint="name another file with --config") from None
    if len(raw) > MAX_BYTES:
        raise ConfigError(f"{path}: {len(raw)} bytes, the limit is {MAX_BYTES}", hint="is this the right file?")
    try:
        data = yaml.load(raw.decode("utf-8"), Loader=_Loader)  # noqa: S506 - a SafeLoader
    except UnicodeDecodeError as fault:
        raise ConfigError(f"{path}: not UTF-8 at byte {fault.start}", hint="save the file as UTF-8") from None
    except yaml.MarkedYAMLError as fault:
        mark = fault.problem_mark or fault.context_mark
        line = f":{mark.line + 1}" if mark else ""
        raise ConfigError(f"{path}{line}: {fault.problem or fault.context}", hint="correct this line") from None
    except (yaml.YAMLError, ValueError, RecursionError) as fault:
        raise ConfigError(f"{path}: not YAML ({fault})", hint="correct the file") from None
    if not isinstance(data, dict):
        raise ConfigError(f"{path}: holds no mapping at the top level", hint="see neuralshelf.yaml in the repository")
    return data
