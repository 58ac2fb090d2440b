"""What tests of the engine import by name. The fixtures are in `fixtures`, for tests elsewhere, too."""

from tests.engine.fixtures import ServedModels, ServeModels, ToyEncoder, temporary_folders

__all__ = ["ServeModels", "ServedModels", "ToyEncoder", "temporary_folders"]
