"""Names the cause and the remedy when a deployment does not work, and finds nothing when it does."""

from neuralshelf.provision.doctor.diagnose import diagnose
from neuralshelf.provision.doctor.findings import Diagnosis, Finding

__all__ = ["Diagnosis", "Finding", "diagnose"]
