"""The verbs that look after a deployment: verify, doctor, rotate, roles."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from neuralshelf.cli.context import context
from neuralshelf.errors import ConfigError

if TYPE_CHECKING:
    from neuralshelf.provision.rotate import Rotation

FAILED = 1


def verify(words: argparse.Namespace) -> int:
    from neuralshelf.provision.verify import verify as look
    from neuralshelf.tables import checks_text

    stack, deployment = context(words)
    found = look(stack.client(deployment), deployment, stack.runtime(deployment))
    print(json.dumps(found.as_dict()) if words.json else checks_text(found))
    return 0 if found.ok else FAILED


def doctor(words: argparse.Namespace) -> int:
    from neuralshelf.provision.doctor import diagnose
    from neuralshelf.tables import diagnosis_text

    stack, deployment = context(words)
    cluster = deployment.environment.cluster
    found = diagnose(cluster, stack.client(deployment), deployment, stack.runtime(deployment))
    print(json.dumps(found.as_dict()) if words.json else diagnosis_text(found))
    return 0 if found.healthy else FAILED


def rotate(words: argparse.Namespace) -> int:
    from neuralshelf.local.provisioning import say
    from neuralshelf.provision.rotate import rotate as once

    if words.watch:
        return _watch(words)
    if words.every is not None:
        raise ConfigError("--every is for --watch", hint="add --watch")
    stack, deployment = context(words)
    done = once(
        stack.client(deployment),
        deployment,
        stack.runtime(deployment),
        force=words.force,
        say=say,
        tell=lambda change: say(change.told),
    )
    if words.json:
        print(json.dumps(done.as_dict()))
    elif done.connectors:
        print(f"{len(done.connectors)} connectors replaced in {done.seconds:.1f} s; no request was interrupted")
        print(f"the old credentials may be revoked in {done.revoke_after:.0f} s")
    else:
        print("nothing to rotate: the connectors hold what the configuration gives")
    return 0


def _watch(words: argparse.Namespace) -> int:
    from neuralshelf.aws import Profile
    from neuralshelf.local.provisioning import say
    from neuralshelf.provision.watch import stopped_by_signals, watch

    stack, deployment = context(words)
    name = deployment.environment.runtime.profile
    profile = Profile(name) if name else None
    with stopped_by_signals() as stop:
        watch(
            stack.client(deployment),
            deployment,
            lambda: stack.runtime(deployment, profile),
            every=60.0 if words.every is None else words.every,
            stop=stop,
            say=say,
            tell=_printed if words.json else _told,
        )
    print("neuralshelf: stopped watching; the connectors stay as they are", file=sys.stderr)
    return 0


def _printed(done: "Rotation") -> None:
    print(json.dumps(done.as_dict()), flush=True)


def _told(done: "Rotation") -> None:
    print(f"neuralshelf: {len(done.connectors)} connectors rotated in {done.seconds:.1f} s", file=sys.stderr)


def roles(words: argparse.Namespace) -> int:
    from neuralshelf.provision.roles import roles as rendered
    from neuralshelf.provision.roles import write_roles

    _, deployment = context(words)
    if words.out is None:
        print(json.dumps(rendered(deployment), indent=2))
    else:
        for file in write_roles(deployment, words.out):
            print(file)
    return 0
