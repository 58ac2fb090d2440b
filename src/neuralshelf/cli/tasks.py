"""Tasks of invoke that are verbs of the command line."""

import inspect
from collections.abc import Callable
from inspect import Parameter
from pathlib import Path
from typing import Any

from invoke.context import Context
from invoke.exceptions import Exit
from invoke.tasks import task

from neuralshelf.cli import main

Given = Callable[..., list[str] | None]


class Verbs:
    """Makes tasks of verbs, with the configuration of a checkout. A verb's exit code is the task's."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def __call__(
        self,
        *positional: str,
        bare: tuple[str, ...] = (),
        called: str = "",
        environment: str = "local",
        **named: Any,
    ) -> Callable[[Given], Any]:
        """Decorates a function whose parameters are the task's options; `--environment` is added.

        The verb gets them as they are, unless the function returns other words.

        Args:
            positional: parameters that are given without their names, to the task and to the verb.
            bare: those that only the verb takes without their names.
            called: the verb; default: as the function.
            named: as invoke's `task` takes them.
        """
        chosen = Parameter("environment", Parameter.KEYWORD_ONLY, default=environment)

        def made(function: Given) -> Any:
            def body(c: Context, environment: str, **given: Any) -> None:
                words = function(**given)
                if words is None:
                    first = [given.pop(name) for name in (*positional, *bare)]
                    words = [*plain(*first), *options(**given)]
                where = ["--config", str(self._config), "--environment", environment]
                if code := main([called or function.__name__.replace("_", "-"), *where, *words]):
                    raise Exit(code=code)

            body.__name__, body.__doc__ = function.__name__, function.__doc__
            own = inspect.signature(function).parameters.values()
            context = Parameter("c", Parameter.POSITIONAL_OR_KEYWORD)
            body.__signature__ = inspect.Signature([context, *own, chosen])  # type: ignore[attr-defined]
            return task(positional=positional, **named)(body)

        return made


def plain(*values: str | list[str]) -> list[str]:
    """Those that are given, in their order."""
    return [word for value in values for word in ([value] if isinstance(value, str) else value) if word]


def options(**values: bool | str | int | None) -> list[str]:
    """`dry_run=True, ids="FILE"` → `--dry-run --ids FILE`; what is empty, False or None is left out."""
    words: list[str] = []
    for name, value in values.items():
        if value is not None and value is not False and value != "":
            word = f"--{name.strip('_').replace('_', '-')}"
            words += [word] if value is True else [word, str(value)]
    return words
