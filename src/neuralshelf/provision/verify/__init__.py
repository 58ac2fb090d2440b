"""Readiness that means ready: models, pipelines, query defaults and index agree on one vector space each."""

from neuralshelf.provision.verify.check import Check, Verification
from neuralshelf.provision.verify.verb import SAMPLE, verify

__all__ = ["SAMPLE", "Check", "Verification", "verify"]
