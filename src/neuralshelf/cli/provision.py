"""The verbs that change what the cluster holds, and those that say what it holds."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from neuralshelf.cli.context import confirm, context

if TYPE_CHECKING:
    from neuralshelf.provision.plan import Change, Plan
    from neuralshelf.provision.provisioner import Provisioner

CHANGES = 2


def plan(words: argparse.Namespace) -> int:
    from neuralshelf.provision.provisioner import save

    found = _provisioner(words).plan(adopt=words.adopt)
    if words.out:
        save(found, words.out)
    _print_plan(found, as_json=words.json)
    return CHANGES if words.detailed_exitcode and (found.writes or found.blocked) else 0


def apply(words: argparse.Namespace) -> int:
    from neuralshelf.local.provisioning import apply_plan
    from neuralshelf.provision.provisioner import check_saved

    provisioner = _provisioner(words)
    found = provisioner.plan(adopt=words.adopt)
    if words.plan:
        check_saved(words.plan, found)
    apply_plan(provisioner, found, adopt=words.adopt, exactly=words.plan is not None)
    if words.json:
        print(json.dumps(found.as_dict()))
    return 0


def drift(words: argparse.Namespace) -> int:
    from neuralshelf.provision.provisioner import drift as edited
    from neuralshelf.tables import changes_text

    found = edited(_provisioner(words).plan())
    if words.json:
        print(json.dumps({"format_version": 1, "findings": _findings(found)}))
    else:
        print(changes_text(found) if found else "no drift: the cluster holds what was applied")
    return CHANGES if words.detailed_exitcode and found else 0


def destroy(words: argparse.Namespace) -> int:
    from neuralshelf.local.provisioning import carry_out

    provisioner = _provisioner(words)
    found = provisioner.plan_destroy()
    _print_plan(found, as_json=words.json)
    if words.dry_run:
        return 0
    if found.writes and not words.yes:
        confirm("This deletes the documents, too.", provisioner.deployment.prefix)
    carry_out(provisioner, found, verb="destroy", make=provisioner.plan_destroy)
    return 0


def unlock(words: argparse.Namespace) -> int:
    from neuralshelf.provision.lock import unlock as take_away

    stack, deployment = context(words)
    print(f"unlocked; it was held by {take_away(stack.client(deployment), deployment.prefix, words.id)}")
    return 0


def _provisioner(words: argparse.Namespace) -> "Provisioner":
    from neuralshelf.local.provisioning import provisioner

    return provisioner(*context(words))


def _print_plan(found: "Plan", *, as_json: bool) -> None:
    from neuralshelf.tables import plan_text

    print(json.dumps(found.as_dict()) if as_json else plan_text(found))


def _findings(changes: "Sequence[Change]") -> list[dict[str, object]]:
    """One entry a path; a deleted object is one."""
    found: list[dict[str, object]] = []
    for change in changes:
        if not change.differences:
            found.append({"address": change.address, "path": "", "wanted": "exists", "live": None})
        for difference in change.differences:
            entry = {"path": difference.path, "wanted": difference.wanted, "live": difference.live}
            found.append({"address": change.address, **entry, "note": change.note})
    return found
