"""Amazon Personalize as far as we call it, added to moto's, which has its schemas: states that pass with every look,
what stands on what, tags, and failures on request. Shapes are those of botocore's service model, which parses them."""

import itertools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.personalize.exceptions import PersonalizeException
from moto.personalize.models import personalize_backends
from moto.personalize.responses import PersonalizeResponse
from moto.s3.models import s3_backends

Json = Any

REGION, ACCOUNT = "us-east-1", "123456789012"
BEGUN = 1_780_000_000

PATHS = {
    "DatasetGroup": "dataset-group",
    "Dataset": "dataset",
    "DatasetImportJob": "dataset-import-job",
    "EventTracker": "event-tracker",
    "Solution": "solution",
    "SolutionVersion": "solution",
    "Campaign": "campaign",
    "DataDeletionJob": "data-deletion-job",
}
WITHIN = {
    "Dataset": ["datasetGroupArn", "schemaArn"],
    "DatasetImportJob": ["datasetArn"],
    "EventTracker": ["datasetGroupArn"],
    "Solution": ["datasetGroupArn"],
    "SolutionVersion": ["solutionArn"],
    "Campaign": ["solutionVersionArn"],
    "DataDeletionJob": ["datasetGroupArn"],
}
"""What must be there, and finished, before something is made."""

HOLDS = {"DatasetGroup": ["Dataset", "EventTracker", "Solution"], "Solution": ["Campaign"]}
"""What must have gone before something goes."""


@dataclass
class Personalize:
    """All things of an account, by their ARN.

    Attributes:
        failing: noun -> reason for which the next one of them fails.
        slow: looks that a state lasts.
    """

    things: dict[str, Json] = field(default_factory=dict)
    failing: dict[str, str] = field(default_factory=dict)
    slow: int = 1
    clock: Any = field(default_factory=lambda: itertools.count(BEGUN))

    def clear(self) -> None:
        """An empty account."""
        self.__dict__.update(Personalize().__dict__)

    def create(self, noun: str, body: Json) -> Json:
        """What Create answers."""
        name = body.get("name") or body.get("jobName") or f"{next(self.clock):08x}"
        path = f"{PATHS[noun]}/{name}"
        if noun == "Dataset":
            path = f"dataset/{self._group(body)['name']}/{body['datasetType'].upper()}"
        if noun == "EventTracker":
            path = f"event-tracker/{next(self.clock):08x}"
        if noun == "SolutionVersion":
            path = f"solution/{self._ready(body['solutionArn'])['name']}/{next(self.clock):08x}"
        arn = f"arn:aws:personalize:{REGION}:{ACCOUNT}:{path}"
        if arn in self.things:
            raise PersonalizeException("ResourceAlreadyExistsException", f"Another resource with Arn {arn} exists.")
        for key in WITHIN.get(noun, []):
            self._ready(body[key])
        if noun == "EventTracker" and self._of("EventTracker", "datasetGroupArn", body["datasetGroupArn"]):
            raise PersonalizeException("ResourceInUseException", "There is an event tracker already.")
        if "dataSource" in body:
            self._readable(body)
        reason = self.failing.pop(noun, None)
        job = noun == "DataDeletionJob"
        end = ("FAILED" if job else "CREATE FAILED") if reason else ("COMPLETED" if job else "ACTIVE")
        begin = ["PENDING", "IN_PROGRESS"] if job else ["CREATE PENDING", "CREATE IN_PROGRESS"]
        now = next(self.clock)
        self.things[arn] = {
            **{key: value for key, value in body.items() if key != "tags"},
            **{"noun": noun, "name": name, "arn": arn, "tags": body.get("tags", [])},
            **{"creationDateTime": now, "lastUpdatedDateTime": now, "failureReason": reason},
            "states": [state for state in begin for _ in range(self.slow)] + [end],
        }
        if noun == "EventTracker":
            self.things[arn]["trackingId"] = f"tracking-{name}"
        return {f"{noun[0].lower()}{noun[1:]}Arn": arn}

    def describe(self, noun: str, arn: str) -> Json:
        """What Describe answers; time passes."""
        found = self._there(arn, noun)
        self._pass(arn)
        return {_small(noun): _shown(found)}

    def listed(self, noun: str, body: Json) -> Json:
        """What List answers, one a page, so that pages are read."""
        solution = body.get("solutionArn")
        found = [
            _shown(each)
            for each in self.things.values()
            if each["noun"] == noun
            and body.get("datasetGroupArn") in (None, each.get("datasetGroupArn"))
            and (solution is None or solution in (each.get("solutionArn"), self._solution_of(each)))
        ]
        first = int(body.get("nextToken") or 0)
        more = {"nextToken": str(first + 1)} if first + 1 < len(found) else {}
        return {f"{_small(noun)}s": found[first : first + 1], **more}

    def delete(self, noun: str, arn: str) -> Json:
        """What Delete answers."""
        found = self._there(arn, noun)
        held = [
            each for each in self.things.values() if each["noun"] in HOLDS.get(noun, []) and self._stands_on(each, arn)
        ]
        busy = noun in ("Solution", "Dataset") and [
            each
            for each in self.things.values()
            if each["noun"] in ("SolutionVersion", "DatasetImportJob") and _moves(each) and self._stands_on(each, arn)
        ]
        if held or busy or _moves(found):
            raise PersonalizeException("ResourceInUseException", f"Resource Arn {arn} is in use.")
        found["states"] = ["DELETE PENDING"] * self.slow + ["DELETE IN_PROGRESS"] * self.slow + ["GONE"]
        return {}

    def tags(self, arn: str) -> Json:
        """Of something."""
        return self._there(arn)["tags"]

    def stop(self, arn: str) -> Json:
        """A training ends."""
        found = self._there(arn, "SolutionVersion")
        if not _moves(found):
            raise PersonalizeException("ResourceInUseException", f"{arn} is not being trained.")
        found["states"] = ["CREATE STOPPING", "CREATE STOPPED"]
        return {}

    def delete_schema(self, arn: str) -> None:
        """Refuse while a dataset uses it."""
        if any(each.get("schemaArn") == arn for each in self.things.values()):
            raise PersonalizeException("ResourceInUseException", f"Schema {arn} is in use.")

    def lines(self) -> set[str]:
        """All there is, a line each; jobs and versions can't be deleted by themselves."""
        schemas = personalize_backends[ACCOUNT][REGION].schemas
        stay = [each for each in self.things.values() if each["noun"] not in ("DatasetImportJob", "DataDeletionJob")]
        return {f"personalize {each['arn'].split(':')[5]} {each['states'][0]}" for each in stay} | {
            f"personalize {arn.split(':')[5]}" for arn in schemas
        }

    def _pass(self, arn: str) -> None:
        states = self.things[arn]["states"]
        if len(states) > 1:
            states.pop(0)
        if states == ["GONE"]:
            self.things = {
                key: each for key, each in self.things.items() if key != arn and not key.startswith(f"{arn}/")
            }

    def _there(self, arn: str, noun: str | None = None) -> Json:
        found = self.things.get(arn)
        if found is None or noun not in (None, found["noun"]):
            raise PersonalizeException("ResourceNotFoundException", f"Resource Arn {arn} does not exist.")
        return found

    def _ready(self, arn: str) -> Json:
        if ":schema/" in arn:
            return personalize_backends[ACCOUNT][REGION].describe_schema(arn)
        if arn.endswith("/$LATEST"):
            versions = self._of("SolutionVersion", "solutionArn", arn.removesuffix("/$LATEST"))
            found = next((each for each in versions if each["states"][0] == "ACTIVE"), None)
            if found is None:
                raise PersonalizeException("ResourceNotFoundException", f"{arn}: no solution version is active.")
            return found
        found = self._there(arn)
        if found["states"][0] != "ACTIVE":
            raise PersonalizeException("ResourceInUseException", f"{arn} is {found['states'][0]}.")
        return found

    def _group(self, body: Json) -> Json:
        return self._ready(body["datasetGroupArn"])

    def _of(self, noun: str, key: str, arn: str) -> list[Json]:
        return [each for each in self.things.values() if each["noun"] == noun and each.get(key) == arn]

    def _solution_of(self, each: Json) -> str | None:
        version = each.get("solutionVersionArn")
        return version.rsplit("/", 1)[0] if version else None

    def _stands_on(self, each: Json, arn: str) -> bool:
        solution = self._solution_of(each) or each.get("solutionArn")
        group = self.things.get(solution or "", {}).get("datasetGroupArn")
        dataset = each.get("datasetArn")
        version_uses = (
            arn.startswith(f"arn:aws:personalize:{REGION}:{ACCOUNT}:dataset/") and each["noun"] == "SolutionVersion"
        )
        same_group = version_uses and self.things[arn]["datasetGroupArn"] == group
        return arn in (each.get("datasetGroupArn"), solution, dataset) or same_group

    def _readable(self, body: Json) -> None:
        """The file must be there, and the role; a job that reads nothing fails on AWS, too."""
        bucket, _, key = body["dataSource"]["dataLocation"].removeprefix("s3://").partition("/")
        if key not in s3_backends[ACCOUNT]["aws"].buckets[bucket].keys:
            raise PersonalizeException("InvalidInputException", f"s3://{bucket}/{key} is not there.")


def _small(noun: str) -> str:
    return noun[0].lower() + noun[1:]


def _moves(found: Json) -> bool:
    return bool(found["states"][0].endswith(("PENDING", "IN_PROGRESS", "STOPPING")))


def _shown(found: Json) -> Json:
    hidden = ("noun", "arn", "states", "tags", "failureReason")
    own = {key: value for key, value in found.items() if key not in hidden}
    state = found["states"][0]
    why = {"failureReason": found["failureReason"]} if state.endswith("FAILED") else {}
    return {**own, f"{_small(found['noun'])}Arn": found["arn"], "status": state, **why}


PERSONALIZE = Personalize()
"""The account's."""


def methods() -> dict[str, Callable[[Any], str]]:
    """Name of a method of moto's response class -> what it does."""
    delete_schema = PersonalizeResponse.delete_schema

    def schema(response: Any) -> str:
        PERSONALIZE.delete_schema(json.loads(response.body)["schemaArn"])
        return delete_schema(response)

    found = {
        "delete_schema": schema,
        "list_tags_for_resource": _answer(lambda body: {"tags": PERSONALIZE.tags(body["resourceArn"])}),
        "stop_solution_version_creation": _answer(lambda body: PERSONALIZE.stop(body["solutionVersionArn"])),
    }
    for noun in PATHS:
        found |= _methods(noun)
    return found


def _methods(noun: str) -> dict[str, Callable[[Any], str]]:
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in noun)
    key = f"{_small(noun)}Arn"
    return {
        f"create{snake}": _answer(lambda body: PERSONALIZE.create(noun, body)),
        f"describe{snake}": _answer(lambda body: PERSONALIZE.describe(noun, body[key])),
        f"delete{snake}": _answer(lambda body: PERSONALIZE.delete(noun, body[key])),
        f"list{snake}s": _answer(lambda body: PERSONALIZE.listed(noun, body)),
    }


def _answer(work: Callable[[Json], Json]) -> Callable[[Any], str]:
    return lambda response: json.dumps(work(json.loads(response.body)))
