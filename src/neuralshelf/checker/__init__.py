"""Whether a search means what it says: right, made right, or refused with the reason."""

from neuralshelf.checker.check import check
from neuralshelf.checker.facts import Facts, facts_of
from neuralshelf.checker.verdict import Finding, Grade, Verdict

__all__ = ["Facts", "Finding", "Grade", "Verdict", "check", "facts_of"]
