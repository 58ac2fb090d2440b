"""What `tune` does on a stack."""

from neuralshelf import yamlfile
from neuralshelf.deployment import Config, Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.local.evaluation import Judged, query_picture
from neuralshelf.local.stack import Stack
from neuralshelf.relevance.cutoffs import Cutoff
from neuralshelf.relevance.legs import LegSearcher
from neuralshelf.relevance.proposal import diff
from neuralshelf.relevance.tuning import Tuning, tune


def tune_search(stack: Stack, deployment: Deployment, judged: Judged, *, measure: Cutoff, seed: int) -> Tuning:
    """Tune the deployment's search on its live index; what the legs answered is kept in the state folder.

    Raises:
        NeuralshelfError: as `relevance.tuning.tune`.
    """
    config = deployment.config
    searcher = LegSearcher(stack.client(deployment), config.index, config.search, stack.folders.state / "tune")
    return tune(
        searcher,
        judged.queries,
        judged.judgements,
        lambda query: query_picture(query, deployment),
        config=(stack.config.name, stack.config.read_text(encoding="utf-8")),
        measure=measure,
        seed=seed,
    )


def write_winner(stack: Stack, found: Tuning) -> None:
    """The changed configuration in place of the one that was read.

    Raises:
        ConfigError: somebody has changed the file meanwhile, or it can't be written.
    """
    file = stack.config
    try:
        now = file.read_text(encoding="utf-8")
        if diff(now, found.after, file.name) != found.diff:
            raise ConfigError(f"{file} was changed while tuning", hint="run tune again: the answers are kept")
        new = file.with_name(f".{file.name}.new")
        new.write_text(found.after, encoding="utf-8")
        Config.parse(yamlfile.load(new), str(new))
        new.replace(file)
    except OSError as fault:
        raise ConfigError(f"{file} can't be written ({fault.strerror})", hint="take the diff by --out FILE") from None
