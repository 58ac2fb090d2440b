"""A new embedding model while reads and writes go on: copy, compare, swap, and back again if need be."""

from neuralshelf.provision.migration.finish import finish, status
from neuralshelf.provision.migration.migrate import Choices, migrate
from neuralshelf.provision.migration.rollback import rollback

__all__ = ["Choices", "finish", "migrate", "rollback", "status"]
