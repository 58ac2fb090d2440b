"""What doctor says in the end."""

import re
from dataclasses import dataclass
from typing import Any

from neuralshelf.errors import one_line
from neuralshelf.provision.doctor.faults import FAULTS, Severity


@dataclass(frozen=True)
class Finding:
    """One fault that was found.

    Attributes:
        code: stable, of `faults.FAULTS`.
        subject: what is concerned: an address, an endpoint, an index.
        cause, remedy: one line each, without secrets.
    """

    code: str
    subject: str
    cause: str
    remedy: str
    severity: Severity

    def as_dict(self) -> dict[str, str]:
        """For `--json`."""
        return {
            "code": self.code,
            "severity": self.severity,
            "subject": self.subject,
            "cause": self.cause,
            "remedy": self.remedy,
        }


def finding(code: str, subject: str, **facts: object) -> Finding:
    """A fault of the catalogue, its texts filled with the facts of the case."""
    fault = FAULTS[code]
    return Finding(code, subject, _filled(fault.cause, facts), _filled(fault.remedy, facts), fault.severity)


def _filled(text: str, facts: dict[str, object]) -> str:
    # only whole {words} are slots: remedies show JSON, too
    return one_line(re.sub(r"\{([a-z]+)\}", lambda slot: str(facts[slot[1]]), text))


@dataclass(frozen=True)
class Diagnosis:
    """All findings, the root causes first.

    Attributes:
        checks: what was looked at.
        unchecked: what could not be looked at, because of a finding.
    """

    findings: tuple[Finding, ...]
    checks: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def healthy(self) -> bool:
        """No errors; there may be warnings."""
        return not any(found.severity == "error" for found in self.findings)

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "format_version": 1,
            "healthy": self.healthy,
            "findings": [found.as_dict() for found in self.findings],
            "checks": list(self.checks),
            "unchecked": list(self.unchecked),
        }
