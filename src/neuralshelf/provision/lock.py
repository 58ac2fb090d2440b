"""One writer at a time: an index that exists while somebody writes to a deployment.

Creating the index `PREFIX-lock` is the atomic step, since a cluster refuses a second index of the same name; its
mapping's `_meta` says who holds it; deleting it releases. All of that is cluster state: no shard has to be up, so a red
cluster can be locked and repaired. Clocks decide nothing: `since` is only shown.
"""

import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from types import FrameType
from typing import Any

from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import NotFoundError, OpenSearch, TransportError
from pydantic import ValidationError

from neuralshelf.client import reason
from neuralshelf.errors import LockedError, ProvisionError
from neuralshelf.provision.holder import Holder
from neuralshelf.templates import render

SETTLE_SECONDS = 2.0
ATTEMPTS = 5

Tell = Callable[[str], None]


class Lock:
    """A lock that this process holds.

    Attributes:
        ended: SIGTERM has come.
    """

    def __init__(self, client: OpenSearch, index: str, holder: Holder) -> None:
        self.holder = holder
        self.ended = False
        self._client = client
        self._index = index

    def check(self) -> None:
        """Call this before each write.

        Raises:
            LockedError: the lock was taken away; nothing more may be written.
            ProvisionError: the cluster can't say.
            KeyboardInterrupt: after SIGTERM.
        """
        if self.ended:
            raise KeyboardInterrupt
        found = _read(self._client, self._index)
        if found is None:
            raise LockedError(
                f"lock {self._index} is gone: somebody unlocked while this {self.holder.verb} was at work",
                hint=f"nothing more was written; when nobody else writes, run {self.holder.verb} again",
            )
        if found.id != self.holder.id:
            raise LockedError(
                f"lock {self._index} was taken away and is now held by {found}",
                hint=f"nothing more was written; run {self.holder.verb} again later",
            )

    def release(self) -> None:
        """Delete the lock if it is ours.

        Raises:
            ProvisionError: the cluster refused.
        """
        found = _read(self._client, self._index)
        if found is not None and found.id == self.holder.id:
            _delete(self._client, self._index)


@contextmanager
def locked(client: OpenSearch, prefix: str, verb: str, tell: Tell = lambda _: None) -> Iterator[Lock]:
    """Hold the lock of the deployment `prefix` inside the `with`.

    Args:
        verb: what is done under it, shown to others.
        tell: gets a line when a dead process's lock is taken over, and when ours can't be released.

    Raises:
        LockedError: somebody else holds it; names who, since when, and how to unlock.
        ProvisionError: the cluster refused the lock.
    """
    lock = Lock(client, f"{prefix}-lock", Holder.here(verb))
    with _ended_in_order(lock):
        try:
            _acquire(client, f"{prefix}-lock", lock.holder, tell)
            yield lock
        finally:  # also when interrupted between the request and its answer
            try:
                lock.release()
            except ProvisionError as fault:
                tell(f"{fault.message}; lock {lock.holder.id} may remain: {fault.hint}")


def holder(client: OpenSearch, prefix: str) -> Holder | None:
    """Who holds the lock now. A lock whose `_meta` was edited shows as held by `unknown`.

    Raises:
        ProvisionError: the cluster can't say.
    """
    return _read(client, f"{prefix}-lock")


def unlock(client: OpenSearch, prefix: str, identity: str) -> Holder:
    """Take the lock with this id away from its holder, who stops before its next write.

    Raises:
        LockedError: the lock has another id.
        ProvisionError: there is no lock, or the cluster refused.
    """
    index = f"{prefix}-lock"
    found = _read(client, index)
    if found is None:
        raise ProvisionError(f"there is no lock {index}", hint="nothing to do: go on")
    if found.id != identity:
        raise LockedError(f"{identity} is not the id of {index}, held by {found}", hint=_unlock_hint(found))
    _delete(client, index)
    return found


@contextmanager
def _ended_in_order(lock: Lock) -> Iterator[None]:
    """Let SIGTERM do what Ctrl-C does: a cancelled job in a container must not leave a lock that nobody can judge."""

    def end(number: int, frame: FrameType | None) -> None:
        lock.ended = True  # what is raised here gets lost inside of a finaliser
        signal.default_int_handler(number, frame)

    ours = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if ours:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _acquire(client: OpenSearch, index: str, mine: Holder, tell: Tell) -> None:
    meta = mine.model_dump(mode="json")
    body = render("lock/index.json.j2", holder=meta)
    for _ in range(ATTEMPTS):
        try:
            client.indices.create(index=index, body=body, params={"wait_for_active_shards": 0})
            return
        except TransportError as fault:
            if fault.error != "resource_already_exists_exception":
                raise _refused(index, "can't be made", fault) from None
        other = _read(client, index)
        if other is None:  # released just now
            continue
        if other.id == mine.id:  # the answer to an earlier request was lost
            return
        if not other.is_dead():
            raise LockedError(f"{index} is held by {other}", hint=_unlock_hint(other))
        tell(f"the holder of {index} is dead: taking over from {other}")
        try:
            client.indices.put_mapping(index=index, body={"_meta": body["mappings"]["_meta"]})
        except NotFoundError:
            continue
        except TransportError as fault:
            raise _refused(index, "can't be taken over", fault) from None
        # Of several that take over at once the last to write wins; when all have written, each looks who it was.
        time.sleep(SETTLE_SECONDS)
        winner = _read(client, index)
        if winner is not None and winner.id != mine.id:
            raise LockedError(f"{index} is held by {winner}", hint=_unlock_hint(winner))
        if winner is not None:
            return
    raise LockedError(f"{index} is taken and released all the time", hint="see who else writes, then try again")


def _read(client: OpenSearch, index: str) -> Holder | None:
    try:
        found = client.indices.get(index=index).get(index)
    except NotFoundError:
        return None
    except TransportError as fault:
        raise _refused(index, "can't be read", fault) from None
    if found is None:  # an alias of that name
        raise ProvisionError(f"{index} is an alias, not a lock", hint=f"remove it: the name {index} is the lock's")
    mappings = found["mappings"]
    if mappings.get("properties"):
        raise ProvisionError(f"{index} is an index with fields, not a lock", hint="rename or remove that index")
    try:
        return Holder.model_validate(_written(mappings))
    except (ValidationError, KeyError, TypeError, ValueError):
        settings = found["settings"]["index"]
        made = datetime.fromtimestamp(int(settings["creation_date"]) / 1000, UTC)
        unknown = "unknown"
        return Holder(
            id=settings["uuid"], user=unknown, host=unknown, pid=0, verb=unknown, since=made, machine="", started=0
        )


def _written(mappings: Mapping[str, Any]) -> dict[str, Any]:
    meta = dict(mappings["_meta"]["lock"])
    since = datetime.fromisoformat(meta["since"])
    return meta | {"since": since if since.tzinfo else since.replace(tzinfo=UTC)}


def _delete(client: OpenSearch, index: str) -> None:
    try:
        client.indices.delete(index=index)
    except NotFoundError:
        pass
    except TransportError as fault:
        raise _refused(index, "can't be deleted", fault) from None


def _refused(index: str, what: str, fault: TransportError) -> ProvisionError:
    if isinstance(fault, ClusterUnreachable):
        return ProvisionError(f"lock {index} {what}: the cluster does not answer", hint="check that it runs")
    cause = reason(fault)
    hint = "mend the cause on the cluster, then try again"
    if "read-only" in cause:
        hint = "the cluster is read-only: lift cluster.blocks.read_only, then try again"
    elif "create-index blocked" in cause:
        hint = "creating indexes is blocked, often by full disks: lift cluster.blocks.create_index, then try again"
    elif "shards" in cause:
        hint = "delete indexes that are not needed, or raise cluster.max_shards_per_node"
    elif fault.status_code == 403:
        hint = f"this login needs the right to create, read and delete the index {index}"
    return ProvisionError(f"lock {index} {what} ({fault.status_code}): {cause}", hint=hint)


def _unlock_hint(found: Holder) -> str:
    return f"wait for it; if it is surely dead: neuralshelf unlock {found.id}"
