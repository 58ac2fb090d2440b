"""Estimates: formulas against sums done by hand, prices that are missing or old, and the verb."""

import json
import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuralshelf.cli import main
from neuralshelf.deploy.cost import ASSUMPTIONS, Estimate, Estimator, Usage
from neuralshelf.deploy.prices import SHIPPED, Prices, Source
from neuralshelf.deployment import Deployment
from neuralshelf.errors import ConfigError
from neuralshelf.tables import cost_text
from tests.stack_deployments import deployment, deployments

ROOT = Path(__file__).parents[2]
PRICES = Prices.load("us-east-1")
CLIP = {"package": "clip", "model": "build/clip.tar.gz"}


def estimate(found: Deployment, usage: Usage, **assumed: float) -> Estimate:
    """With the shipped prices of us-east-1."""
    return Estimator(
        found, usage, PRICES, {name.replace("_", "-"): value for name, value in assumed.items()}
    ).estimate()


def hosted(**endpoints: Mapping[str, Any]) -> Deployment:
    """The sample shop with these endpoints, `clip` for `neuralshelf-clip`."""
    named = {f"neuralshelf-{name}": dict(values) for name, values in endpoints.items()}
    return deployment({"region": "us-east-1", "hosting": {"bucket": "shop-models", "endpoints": named}})


def costs(found: Estimate, when: str, part: str) -> float:
    """Of the positions whose name has `part` in it."""
    lines = [line for line in found.lines if line.when == when and part in line.what]
    assert lines, f"no position {part!r}"
    return sum(line.cost for line in lines)


def both(found: Estimate) -> float:
    """What falls due in the first month."""
    return found.total("once") + found.total("month")


def test_the_domain_costs_by_the_hour_and_its_volumes_by_the_month() -> None:
    usage = Usage(hours=365, instance_type="r7g.large.search", instances=2, volume_gb=50)
    found = estimate(hosted(clip=CLIP), usage)
    assert costs(found, "month", "domain, 2 × r7g") == pytest.approx(2 * 365 * 0.178)
    assert costs(found, "month", "volumes") == pytest.approx(50 * 0.5 * 0.122)


def test_volumes_hold_vectors_replicas_and_room() -> None:
    found = estimate(hosted(clip=CLIP), Usage(products=1_000_000, pictures=1_000_000, instances=2))
    # one replica; MiniLM has 384 dimensions and CLIP 512
    size = 1_000_000 * (2000 + (4 * 384 + 44) + (4 * 512 + 44)) * 2 * 1.45 / 1e9
    (line,) = [line for line in found.lines if "volumes" in line.what]
    assert size == pytest.approx(16.45, abs=0.01)
    assert line.quantity == 20  # no node has less than 10 GB
    much = estimate(hosted(clip=CLIP), Usage(products=5_000_000, pictures=5_000_000))
    assert next(line.quantity for line in much.lines if "volumes" in line.what) == 83


def test_a_vector_takes_the_bytes_that_were_measured() -> None:
    assert {dimension: 4 * dimension + 44 for dimension in (384, 1024)} == {384: 1580, 1024: 4140}
    text = (ROOT / "docs" / "ingestion.md").read_text(encoding="utf-8")
    assert "384 dimensions against 1,580" in text
    assert "13,800 against 4,140" in text


def test_instances_cost_by_the_hour_however_little_is_asked() -> None:
    found = estimate(hosted(clip=CLIP | {"instances": 2}), Usage(searches=0, updates=0, hours=100))
    assert costs(found, "month", "2 × ml.c6i.xlarge") == pytest.approx(2 * 100 * 0.204)


def test_serverless_costs_by_memory_time_and_calls() -> None:
    serverless = CLIP | {"mode": "serverless", "memory_mb": 4096}
    found = estimate(hosted(clip=serverless), Usage(searches=1000, picture_share=0.25, updates=100), picture_seconds=2)
    seconds = 750 * 0.1 + (250 + 100) * 2
    assert costs(found, "month", "4 GB serverless") == pytest.approx(4 * seconds * 0.00002)
    data = 750 * 200 + 350 * 100_000 * 4 / 3 + (750 + 350) * 512 * 12
    assert costs(found, "month", "clip, requests and answers") == pytest.approx(data / 1e9 * 0.016)
    assert not [line for line in found.lines if line.per == "hour" and line.when == "month" and "clip" in line.what]


def test_the_catalogue_goes_through_batch_transform() -> None:
    found = estimate(hosted(clip=CLIP), Usage(products=1000, pictures=3000), pictures_per_second=10)
    assert costs(found, "once", "batch transform, 5 min") == pytest.approx(3000 / 10 / 3600 * 0.204)
    assert costs(found, "once", "pictures into the bucket") == pytest.approx(3 * 0.005)
    assert costs(found, "once", "pictures out of the bucket") == pytest.approx(3 * 0.0004)
    assert costs(found, "month", "bucket shop-models") == pytest.approx((3000 * 1e5 + 6e8) / 1e9 * 0.023)


def test_titan_costs_by_picture_and_by_token() -> None:
    found = estimate(deployments()["titan"], Usage(products=500, pictures=500, searches=1000, updates=0))
    assert costs(found, "once", "Titan, pictures") == pytest.approx(500 * 0.00006)
    assert costs(found, "once", "Titan, texts") == pytest.approx(500 * 50 / 1000 * 0.0008)
    assert costs(found, "month", "Titan, pictures") == pytest.approx(100 * 0.00006)
    assert costs(found, "month", "Titan, texts") == pytest.approx(900 * 50 / 1000 * 0.0008)
    assert not [line for line in found.lines if line.key.startswith(("sagemaker.", "s3."))]


def test_what_is_hosted_elsewhere_is_not_counted_and_said() -> None:
    found = estimate(hosted(clip=CLIP), Usage())
    assert "endpoint neuralshelf-minilm is not in hosting: what it costs is not counted" in found.not_counted


def test_an_endpoint_that_nothing_asks_costs_all_the_same() -> None:
    found = estimate(hosted(clip=CLIP, spare=CLIP), Usage())
    assert costs(found, "month", "neuralshelf-spare, 1 ×") == pytest.approx(730 * 0.204)


def test_the_published_proof_of_concept_costs_less_than_two_dollars_an_hour() -> None:
    """CLIP on SageMaker, 1,639 products: t3.small.search for an hour, a notebook, 6 min of ml.c5.xlarge."""
    found = estimate(
        hosted(clip=CLIP | {"mode": "serverless", "instance_type": "ml.c5.xlarge"}),
        Usage(products=1639, pictures=1639, searches=100, updates=0, hours=1),
    )
    assert costs(found, "month", "t3.small.search") == 0.036
    (batch,) = [line for line in found.lines if "batch transform" in line.what]
    assert batch.price == 0.204
    assert batch.quantity * 60 == pytest.approx(6, abs=0.3)
    notebook = PRICES.of("sagemaker.ml.t3.medium").price
    assert notebook == 0.05
    assert both(found) + notebook == pytest.approx(0.14, abs=0.005)  # the promise: below 2


def test_every_dimension_that_grows_costs_more() -> None:
    found = hosted(clip=CLIP | {"mode": "serverless"})
    small = Usage(products=100_000, pictures=100_000, searches=1000, updates=10)
    for name, value in {"pictures": 10_000_000, "searches": 9000, "updates": 900, "hours": 744, "instances": 2}.items():
        more = estimate(found, Usage(**(vars(small) | {name: value})))
        assert both(more) > both(estimate(found, small)), name


def test_totals_are_the_sums_of_their_positions() -> None:
    found = estimate(hosted(clip=CLIP), Usage(hours=100))
    shown = found.as_dict()
    for when in ("once", "month"):
        assert shown[when] == pytest.approx(sum(line["cost"] for line in shown["lines"] if line["when"] == when))
    assert shown["hour"] == pytest.approx(shown["month"] / 100)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"products": -1}, "products -1"),
        ({"searches": float("inf")}, "searches inf"),
        ({"updates": float("nan")}, "updates nan"),
        ({"picture_share": 1.1}, "picture-share 1.1"),
        ({"hours": 745}, "hours 745"),
        ({"instances": 0}, "domain-instances 0"),
        ({"volume_gb": -1}, "volume-gb -1"),
    ],
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(says)):
        Usage(**wrong)


def test_an_unknown_assumption_is_refused() -> None:
    with pytest.raises(ConfigError, match="no assumption 'wishes'"):
        estimate(hosted(clip=CLIP), Usage(), wishes=1)


def test_a_missing_price_names_key_and_file() -> None:
    with pytest.raises(ConfigError) as raised:
        estimate(hosted(clip=CLIP | {"instance_type": "ml.x9.huge"}), Usage())
    assert raised.value.message == f"{SHIPPED}: no price sagemaker.ml.x9.huge in regions.us-east-1"
    assert "--prices" in raised.value.hint


def test_a_region_without_prices_is_refused() -> None:
    with pytest.raises(ConfigError, match="no prices of region eu-central-1"):
        Prices.load("eu-central-1")


def test_the_shipped_prices_have_a_source_and_a_date_each() -> None:
    for key, price in PRICES.content.regions["us-east-1"].items():
        assert price.price > 0
        source = PRICES.source(key)
        assert date(2020, 1, 1) < source.date
        assert len(source.where) > 10
    assert {price.source for price in PRICES.content.regions["us-east-1"].values()} == set(PRICES.content.sources)


@pytest.mark.parametrize(
    ("today", "months"),
    [(date(2026, 1, 15), 0), (date(2026, 2, 14), 0), (date(2026, 2, 15), 1), (date(2027, 3, 1), 13)],
)
def test_the_age_of_a_price_is_in_whole_months(today: date, months: int) -> None:
    assert Source(where="a list", date=date(2026, 1, 15), confirmed=True).months(today) == months


def test_old_and_unconfirmed_prices_are_said() -> None:
    found = estimate(hosted(clip=CLIP), Usage())
    text = cost_text(found, date(2028, 1, 1))
    assert (
        "2026-10-05  AWS Price List API, offer AmazonES, as repeated by a public cost tool (not confirmed, 14 mon"
        in text
    )
    assert "months old" not in "\n".join(
        line for line in cost_text(found, date(2026, 10, 6)).splitlines() if "2026-" in line
    )


def test_prices_of_ones_own(tmp_path: Path) -> None:
    content = yaml.safe_load(SHIPPED.read_text(encoding="utf-8"))
    content["regions"] = {"eu-north-1": content["regions"]["us-east-1"]}
    content["currency"] = "EUR"
    file = tmp_path / "prices.yaml"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    assert Prices.load("eu-north-1", file).content.currency == "EUR"
    content["regions"]["eu-north-1"]["s3.put"]["source"] = "hearsay"
    file.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"regions\.eu-north-1\.s3\.put: no source 'hearsay'"):
        Prices.load("eu-north-1", file)


def command(*words: str) -> int:
    return main(["cost", "--config", str(ROOT / "neuralshelf.yaml"), "--environment", "aws", *words])


def test_the_verb_says_it_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--searches-per-second", "2", "--hours", "10", "--assume", "picture-seconds=1", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["format_version"] == 1
    assert found["assumptions"]["picture-seconds"] == {"value": 1.0, "unit": "seconds", "why": "as given"}
    assert set(found["assumptions"]) == set(ASSUMPTIONS)
    (serverless,) = [each for each in found["lines"] if each["when"] == "month" and "serverless" in each["what"]]
    assert serverless["quantity"] == pytest.approx(3 * (2 * 36_000 * 0.9 + 1000) * 0.1)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--assume", "picture-seconds"], "has no number"),
        (["--assume", "picture-seconds=-1"], "is out of range"),
        (["--region", "eu-central-1"], "no prices of region eu-central-1"),
        (["--prices", "nowhere.yaml"], "nowhere.yaml do not exist"),
        (["--domain-instance", "x.search"], "no price opensearch.x.search"),
    ],
)
def test_the_verb_explains_what_is_wrong(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(*words) == 2
    error = capsys.readouterr().err
    assert says in error
    assert len(error.splitlines()) == 1


def test_the_example_of_the_docs_is_what_the_verb_prints(capsys: pytest.CaptureFixture[str]) -> None:
    text = (ROOT / "docs" / "cost.md").read_text(encoding="utf-8")
    (words,) = re.findall(r"^    neuralshelf cost --environment aws (--products .*)$", text, re.MULTILINE)
    assert command(*words.split()) == 0
    printed = capsys.readouterr().out.split("\n\nassumed")[0]
    assert "\n".join(f"    {line}".rstrip() for line in printed.splitlines()) in text


def test_the_example_of_the_docs_is_computed_by_hand_alike(capsys: pytest.CaptureFixture[str]) -> None:
    """10,000 products, 20,000 pictures, 300,000 searches and 1,000 updates a month, as docs/cost.md has it."""
    assert command("--products", "10000", "--pictures", "20000", "--searches-per-month", "300000", "--json") == 0
    found = {
        (each["when"], each["key"], each["what"].split(",")[0]): each
        for each in json.loads(capsys.readouterr().out)["lines"]
    }
    texts, pictures = 300_000 * 0.9, 300_000 * 0.1
    assert found["month", "opensearch.t3.small.search", "domain"]["cost"] == pytest.approx(730 * 0.036)
    assert found["month", "sagemaker.serverless", "neuralshelf-minilm"]["cost"] == pytest.approx(
        3 * 0.1 * (texts + 1000) * 0.00002
    )
    assert found["month", "sagemaker.ml.c6i.xlarge", "neuralshelf-clip"]["cost"] == pytest.approx(730 * 0.204)
    assert found["month", "sagemaker.data", "neuralshelf-clip"]["cost"] == pytest.approx(
        (texts * 200 + (pictures + 1000) * 1e5 * 4 / 3 + (texts + pictures + 1000) * 512 * 12) / 1e9 * 0.016
    )
    assert found["once", "sagemaker.ml.c6i.xlarge", "neuralshelf-clip"]["cost"] == pytest.approx(
        20_000 / 4.4 / 3600 * 0.204
    )
    assert found["once", "sagemaker.serverless", "neuralshelf-minilm"]["cost"] == pytest.approx(
        3 * 0.1 * 20_000 * 0.00002
    )


def ranked(**ranking: Any) -> Deployment:
    """The sample shop, ranked by a campaign."""
    hosting = {"bucket": "shop-models", "endpoints": {"neuralshelf-clip": CLIP}}
    return deployment({"region": "us-east-1", "hosting": hosting}, ranking={"item": "kind"} | ranking)


def test_a_campaign_costs_by_the_hour_its_training_by_the_hour_and_its_data_by_the_gigabyte() -> None:
    found = estimate(ranked(campaign="taste"), Usage(hours=100), interactions=1e6, interaction_bytes=1000)
    # 1 GB at 0.05, 2.135 h at 0.24; four times a month; 1 TPS for 100 h at 0.2
    assert costs(found, "once", "campaign taste") == pytest.approx(0.05 + 0.5124)
    assert costs(found, "month", "campaign taste") == pytest.approx(4 * (0.05 + 0.5124) + 20)
    busy = estimate(ranked(campaign="taste"), Usage(hours=100, searches=3600 * 500))
    assert costs(busy, "month", "campaign taste, searches") == pytest.approx(500 * 0.2)


def test_a_thousand_searches_of_a_busy_campaign_cost_what_aws_says_of_a_thousand_requests() -> None:
    found = estimate(ranked(), Usage(hours=1, searches=100_000))
    assert costs(found, "month", "searches") / 100 == pytest.approx(0.0556, abs=5e-5)


def test_a_campaign_that_is_there_already_is_not_counted_and_said_so() -> None:
    arn = "arn:aws:personalize:us-east-1:123456789012:campaign/theirs"
    found = estimate(ranked(campaign=arn), Usage())
    assert not [line for line in found.lines if "campaign" in line.what]
    assert any(arn in each for each in found.not_counted)
