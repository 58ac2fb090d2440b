"""Fetching from a real Maven repository on loopback that can be told to misbehave."""

import gc
import hashlib
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from neuralshelf.engine import fetch as fetching
from neuralshelf.engine.artifacts import RELEASE, Artifact
from neuralshelf.engine.fetch import fetch, require_space
from neuralshelf.errors import EngineError

CONTENT = bytes(range(256)) * 20_000
ARTIFACT = Artifact("org.example", "thing", "1.0", hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))


@dataclass
class Repository:
    """Files by path; `cuts` says how many downloads still to break half way."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: int = 0
    requests: list[str] = field(default_factory=list)
    url: str = ""

    @property
    def repositories(self) -> dict[str, str]:
        return {"test": self.url}


@pytest.fixture
def repository() -> Iterator[Repository]:
    state = Repository({"/org/example/thing/1.0/thing-1.0.zip": CONTENT})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.requests.append(self.path)
            content = state.files.get(self.path)
            if content is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if state.cuts:
                state.cuts -= 1
                content = content[: len(content) // 2]
                self.close_connection = True
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(fetching, "PAUSE_SECONDS", 0.0)
    yield
    with warnings.catch_warnings():  # jgo does not close the connection of a download that failed
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def silent(step: str, done: int, total: int | None) -> None:
    pass


def test_fetches_verifies_and_tells_every_byte(repository: Repository, tmp_path: Path) -> None:
    told: list[tuple[str, int, int | None]] = []
    got = fetch(ARTIFACT, tmp_path, lambda *step: told.append(step), repositories=repository.repositories)
    assert got.read_bytes() == CONTENT
    assert got.stat().st_mode & 0o444 == 0o444
    assert told[-1] == ("engine: fetch thing-1.0.zip", len(CONTENT), len(CONTENT))
    assert [done for _, done, _ in told] == sorted({done for _, done, _ in told})


def test_a_second_fetch_asks_nobody(repository: Repository, tmp_path: Path) -> None:
    fetch(ARTIFACT, tmp_path, silent, repositories=repository.repositories)
    repository.requests.clear()
    fetch(ARTIFACT, tmp_path, silent, repositories={"gone": "http://127.0.0.1:1"})
    assert repository.requests == []


def test_a_wrong_hash_is_refused_and_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    repository.files["/org/example/thing/1.0/thing-1.0.zip"] = CONTENT[:-1] + b"x"
    for _ in range(2):  # jgo alone returns the bad file the second time
        with pytest.raises(EngineError, match=r"^thing-1\.0\.zip has the wrong SHA-256") as caught:
            fetch(ARTIFACT, tmp_path, silent, repositories=repository.repositories)
        assert caught.value.hint
        assert list(tmp_path.iterdir()) == []


def test_a_cut_download_is_tried_again(repository: Repository, tmp_path: Path) -> None:
    repository.cuts = 2
    assert fetch(ARTIFACT, tmp_path, silent, repositories=repository.repositories).read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.0.zip"]


def test_a_download_cut_each_time_leaves_nothing(repository: Repository, tmp_path: Path) -> None:
    for _ in range(2):
        repository.cuts = 3
        with pytest.raises(EngineError, match="cut 3 times"):
            fetch(ARTIFACT, tmp_path, silent, repositories=repository.repositories)
        assert list(tmp_path.iterdir()) == []


def test_a_damaged_file_in_the_cache_is_fetched_again(repository: Repository, tmp_path: Path) -> None:
    (tmp_path / "thing-1.0.zip").write_bytes(CONTENT[:1000])
    assert fetch(ARTIFACT, tmp_path, silent, repositories=repository.repositories).read_bytes() == CONTENT


def test_without_network_it_names_the_file_and_the_next_step(tmp_path: Path) -> None:
    with pytest.raises(EngineError) as caught:
        fetch(ARTIFACT, tmp_path, silent, repositories={"gone": "http://127.0.0.1:1"})
    assert caught.value.message == "thing-1.0.zip can't be fetched: no connection to the Maven repository"
    assert str(tmp_path) in caught.value.hint
    assert "NEURALSHELF_MAVEN_URL" in caught.value.hint


def test_a_mirror_is_taken_from_the_environment(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NEURALSHELF_MAVEN_URL", repository.url + "/")
    assert fetch(ARTIFACT, tmp_path, silent).read_bytes() == CONTENT


def test_a_mirror_without_the_file_is_told_so_without_its_address(repository: Repository, tmp_path: Path) -> None:
    repository.files.clear()
    with pytest.raises(EngineError, match="does not have it") as caught:
        fetch(ARTIFACT, tmp_path, silent, repositories={"m": repository.url.replace("//", "//user:secret@")})
    assert "secret" not in str(caught.value)


_FETCH = """
import sys
from pathlib import Path
from neuralshelf.engine.artifacts import Artifact
from neuralshelf.engine.fetch import fetch, sha256_of
folder, url, sha256, size = sys.argv[1:]
artifact = Artifact("org.example", "thing", "1.0", sha256, int(size))
print(sha256_of(fetch(artifact, Path(folder), lambda *step: None, repositories={"test": url})))
"""


def test_many_processes_fetching_at_once_all_get_the_whole_file(repository: Repository, tmp_path: Path) -> None:
    words = [sys.executable, "-c", _FETCH, str(tmp_path), repository.url, ARTIFACT.sha256, str(ARTIFACT.size)]
    processes = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [ARTIFACT.sha256] * 4
    assert [path.name for path in tmp_path.iterdir()] == ["thing-1.0.zip"]


def test_too_little_space_is_said_in_bytes_before_anything_is_done(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"1,000,000,000,000,000,000 bytes needed, [\d,]+ free in ") as caught:
        require_space(tmp_path / "not" / "there", 10**18, "OpenSearch")
    assert "NEURALSHELF_CACHE" in caught.value.hint
    require_space(tmp_path, 1, "OpenSearch")


def test_every_pin_is_a_sha256_and_has_a_size() -> None:
    for artifact in (RELEASE.distribution, *RELEASE.plugins, *RELEASE.icu):
        assert len(bytes.fromhex(artifact.sha256)) == 32
        assert artifact.size > 0
