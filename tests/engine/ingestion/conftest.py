"""Ingestion into deployments made as those of tests/engine/provision are."""

from tests.engine.provision.conftest import _alone, make_project, project, wire

__all__ = ["_alone", "make_project", "project", "wire"]
