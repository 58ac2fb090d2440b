"""Every call that boto3 makes, seen before and after it: counted, refused, broken off."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient

READS = ("Get", "List", "Head", "Describe")

Look = Callable[[str, str, dict[str, Any]], None]


def nothing(service: str, operation: str, parameters: dict[str, Any]) -> None:
    """Look away."""


@dataclass
class Wiretap:
    """The calls so far.

    Attributes:
        calls: service, operation, parameters.
        before, after: see a call; what they raise is what the caller gets.
    """

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    before: Look = nothing
    after: Look = nothing

    @property
    def writes(self) -> list[str]:
        """`service:Operation` of all calls that change something."""
        return [f"{service}:{name}" for service, name, _ in self.calls if not name.startswith(READS)]


class Killed(BaseException):
    """The process ended here."""


def at_write(number: int) -> Look:
    """Raise Killed at the write with this number, from 0."""
    left = [number]

    def look(service: str, operation: str, parameters: dict[str, Any]) -> None:
        if operation.startswith(READS):
            return
        if left[0] == 0:
            raise Killed(f"{service}:{operation}")
        left[0] -= 1

    return look


@contextmanager
def tapped() -> Iterator[Wiretap]:
    """Look at all calls of this process."""
    tap, call = Wiretap(), BaseClient._make_api_call  # type: ignore[attr-defined]

    def listened(client: Any, operation: str, parameters: dict[str, Any]) -> Any:
        service = client.meta.service_model.service_name
        tap.before(service, operation, parameters)
        answer = call(client, operation, parameters)
        tap.calls.append((service, operation, parameters))
        tap.after(service, operation, parameters)
        return answer

    with patch.object(BaseClient, "_make_api_call", listened):
        yield tap
