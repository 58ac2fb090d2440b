"""What a verification found."""

from dataclasses import asdict, dataclass
from typing import Any

FORMAT_VERSION = 1


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: what was looked for, such as `model-answers`; the same for all objects.
        of: the object, such as `model/shop-local-v1-text-search`.
        ok: None when it could not be looked at; `found` says why.
        found: what is there.
        remedy: the next step where it is not ok.
    """

    name: str
    of: str
    ok: bool | None
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Verification:
    """All checks of one deployment, in the order in which they were made.

    Attributes:
        index: the index that was verified.
    """

    index: str
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        """No check failed, and there was something to check."""
        return bool(self.checks) and not self.failures

    @property
    def failures(self) -> tuple[Check, ...]:
        """What is not as it should be; the first is the nearest to the cause."""
        return tuple(check for check in self.checks if check.ok is False)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        checks = [asdict(check) for check in self.checks]
        return {"format_version": FORMAT_VERSION, "ok": self.ok, "index": self.index, "checks": checks}
