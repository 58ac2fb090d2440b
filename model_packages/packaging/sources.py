"""Modules of this project that go into an archive, so that what runs on SageMaker is what runs here.

They lie below `code/neuralshelf/model_packages/` there. The packages above them have an empty `__init__.py` unless the
manifest lists theirs: ours may import what the container lacks.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from neuralshelf.model_packages.packaging.manifest import FILE, Manifest, PackageError

ROOT = Path(__file__).parents[1]
OURS = "neuralshelf"
_INSIDE = "code/neuralshelf/model_packages"


def modules(manifest: Manifest, root: Path = ROOT) -> dict[str, Path | None]:
    """Path in the archive → file below `root`, or None for an empty `__init__.py`.

    Raises:
        PackageError: a source is not there.
    """
    found: dict[str, Path | None] = {}
    for source in manifest.sources:
        if not (root / source).is_file():
            raise PackageError(
                f"{manifest.name}/{FILE}: sources: {source} is not a file of model_packages",
                hint="write sources as encoder.py or server/contracts.py",
            )
        found[f"{_INSIDE}/{source}"] = root / source
    for name in list(found):
        for folder in PurePosixPath(name).parents:
            if folder.name not in ("code", ""):
                found.setdefault(f"{folder}/__init__.py", None)
    return found


def require_closed(name: str, files: Mapping[str, Path | None], root: Path = ROOT) -> None:
    """See that Python files import nothing of this project that does not go along.

    Args:
        name: the package, for the message.
        files: what the archive holds, as `modules` and the package's own `code/…`.
        root: as of `modules`.

    Raises:
        PackageError: a module is missing, or a file is not Python; names the importing file.
    """
    for inside, path in files.items():
        if path is None or not inside.endswith(".py"):
            continue
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as fault:
            raise PackageError(f"{path}: not Python ({fault})", hint="correct it") from None
        dotted = inside.removeprefix("code/").removesuffix(".py").replace("/", ".")
        for module in _imported(tree, dotted.removesuffix(".__init__"), is_package=dotted.endswith(".__init__")):
            if missing := _missing(module, files, root):
                raise PackageError(
                    f"{name}: {inside} imports {module}, and {missing} does not go along",
                    hint=f"add it to sources in {name}/{FILE}",
                )


def _missing(module: str, files: Mapping[str, Path | None], root: Path) -> str:
    """The file that `module` lacks; "" when it is there, or is a name inside a module that is."""
    if module.split(".")[0] != OURS:
        return ""
    inside = f"code/{module.replace('.', '/')}"
    if f"{inside}.py" in files or f"{inside}/__init__.py" in files:
        return ""
    parent = inside.rpartition("/")[0]
    named_there = not (root / f"{inside.removeprefix(_INSIDE)[1:]}.py").is_file()
    if f"{parent}.py" in files or (files.get(f"{parent}/__init__.py") and named_there):
        return ""
    lacking = inside if f"{parent}/__init__.py" in files or not named_there else parent
    return f"{lacking.removeprefix('code/')}.py"


def _imported(tree: ast.AST, module: str, *, is_package: bool) -> Iterator[str]:
    """Dotted names that `module` imports when it runs; a name out of a module as `module.name`."""
    if isinstance(tree, ast.Import):
        yield from (alias.name for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom):
        base = module.split(".")
        if tree.level:
            base = base[: len(base) - tree.level + is_package]
        start = [*(base if tree.level else []), *filter(None, [tree.module])]
        yield from (".".join([*start, alias.name]) for alias in tree.names)
    elif isinstance(tree, ast.If) and ast.unparse(tree.test) in ("TYPE_CHECKING", "typing.TYPE_CHECKING"):
        for node in tree.orelse:
            yield from _imported(node, module, is_package=is_package)
    else:
        for child in ast.iter_child_nodes(tree):
            yield from _imported(child, module, is_package=is_package)
