"""What a configuration needs of OpenSearch; that the two versions are really so is held by tests/engine."""

from pathlib import Path
from typing import Any

import pytest

from neuralshelf import yamlfile
from neuralshelf.deployment import Config
from neuralshelf.errors import ConfigError
from neuralshelf.provision.versions import check, needs

SAMPLE = Path(__file__).parents[2] / "neuralshelf.yaml"


def config(**search: Any) -> Config:
    """The sample deployment with another search."""
    values = yamlfile.load(SAMPLE)
    return Config.parse({**values, "search": {**values["search"], **search}}, "neuralshelf.yaml")


@pytest.mark.parametrize("version", ["2.19", "2.19.0", "2.19.1", "3.0.0", "3.6.0", "10.0.0", "3.6.0-SNAPSHOT", ""])
@pytest.mark.parametrize("normalization", ["min_max", "l2"])
@pytest.mark.parametrize("combination", ["arithmetic_mean", "geometric_mean", "harmonic_mean"])
def test_scores_are_joined_by_every_supported_version(version: str, normalization: str, combination: str) -> None:
    asked = config(normalization=normalization, combination=combination)
    assert needs(asked) == []
    check(version, asked)


def test_z_scores_are_refused_for_an_older_cluster() -> None:
    with pytest.raises(
        ConfigError, match=r"search\.normalization z_score needs OpenSearch ≥ 3\.0, the cluster is 2\.19"
    ):
        check("2.19.1", config(normalization="z_score"))
    check("3.0.0", config(normalization="z_score"))


@pytest.mark.parametrize("version", ["2.19.1", "2.19.4", "3.0.0"])
def test_ranks_with_weights_are_refused_for_an_older_cluster_in_the_words_of_the_configuration(version: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check(version, config(combination="rrf"))
    assert refused.value.message == (
        f"search.combination rrf with weights needs OpenSearch ≥ 3.1, the cluster is {version}"
    )
    assert "arithmetic_mean" in refused.value.hint
    assert refused.value.exit_code == 2


@pytest.mark.parametrize("version", ["3.1.0", "3.1.0-SNAPSHOT", "3.6.0", "3.10.0", "4.0.0"])
def test_ranks_with_weights_are_taken_from_3_1_on(version: str) -> None:
    check(version, config(combination="rrf"))


@pytest.mark.parametrize("version", ["1.3.20", "2.9.0", "2.18.0"])
def test_a_cluster_that_is_too_old_for_anything_is_refused(version: str) -> None:
    with pytest.raises(ConfigError, match=f"needs OpenSearch ≥ 2.19, the cluster is {version}"):
        check(version, config())


def test_products_of_several_documents_are_refused_for_an_older_cluster() -> None:
    values = yamlfile.load(SAMPLE)
    asked = Config.parse({**values, "index": {**values["index"], "product": "brand"}}, "neuralshelf.yaml")
    with pytest.raises(ConfigError, match=r"index\.product, .*, needs OpenSearch ≥ 3\.1, the cluster is 2\.19\.1"):
        check("2.19.1", asked)
    check("3.1.0", asked)


def test_a_leg_of_preference_is_refused_for_an_older_cluster() -> None:
    ranked = {**yamlfile.load(SAMPLE), "ranking": {"item": "kind", "method": "leg", "items": ["mug"]}}
    asked = Config.parse(ranked, "neuralshelf.yaml")
    with pytest.raises(ConfigError, match=r"ranking\.method leg needs OpenSearch ≥ 3\.2, the cluster is 3\.1"):
        check("3.1.0", asked)
    check("3.2.0", asked)
    assert needs(Config.parse(ranked | {"ranking": {"item": "kind"}}, "neuralshelf.yaml")) == []
