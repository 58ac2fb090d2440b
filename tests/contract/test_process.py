"""The server as a process: how it starts, what it says, how it ends, how much memory hostile pictures cost it."""

import base64
import io
import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image

SCRIPT = Path(__file__).with_name("toy_process.py")
CLIP = "/endpoints/neuralshelf-clip/invocations"
GOOD = b'{"inputText":"a"}'


class Process:
    """One server process; `url` once it is ready."""

    def __init__(self, *arguments: str, seconds: float = 0, **options: Any) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, str(SCRIPT), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=os.environ | {"TOY_SECONDS": str(seconds)},
            text=True,
            **options,
        )
        self.first_line = ""
        self.url = ""

    def ready(self) -> "Process":
        assert self.popen.stdout is not None
        self.first_line = self.popen.stdout.readline()
        self.url = f"http://127.0.0.1:{json.loads(self.first_line)['port']}"
        return self

    def ended(self, seconds: float = 20) -> tuple[int, str, str]:
        """Exit status, the rest of stdout, stderr."""
        out, err = self.popen.communicate(timeout=seconds)
        return self.popen.returncode, out, err

    def peak_megabytes(self) -> int:
        status = Path(f"/proc/{self.popen.pid}/status").read_text()
        found = re.search(r"VmHWM:\s+([0-9]+) kB", status)
        assert found
        return int(found[1]) // 1024


Start = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    started: list[Process] = []

    def begin(*arguments: str, **options: Any) -> Process:
        signing = () if {"--credentials", "--unsigned"} & set(arguments) else ("--unsigned",)
        process = Process("--cache", str(tmp_path), *signing, *arguments, **options)
        started.append(process)
        return process

    yield begin
    for process in started:
        process.popen.kill()
        process.popen.wait()
        for pipe in (process.popen.stdin, process.popen.stdout, process.popen.stderr):
            assert pipe is not None
            pipe.close()


def keys_file(folder: Path, content: str, mode: int = 0o600) -> Path:
    path = folder / "keys.json"
    path.write_text(content)
    path.chmod(mode)
    return path


def test_it_prints_one_json_line_when_it_answers_and_nothing_else(start: Start) -> None:
    process = start().ready()
    assert set(json.loads(process.first_line)) == {"port", "pid"}
    assert json.loads(process.first_line)["pid"] == process.popen.pid
    assert requests.post(process.url + CLIP, data=GOOD, timeout=20).status_code == 200
    process.popen.send_signal(signal.SIGTERM)
    assert process.ended() == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_on_a_signal_it_finishes_what_it_accepted_takes_no_more_and_ends_with_0(start: Start, number: int) -> None:
    process = start("--max-batch", "1", seconds=0.5).ready()
    port = int(process.url.rpartition(":")[2])
    with ThreadPoolExecutor(4) as pool:
        accepted = [pool.submit(requests.post, process.url + CLIP, data=GOOD, timeout=20) for _ in range(4)]
        while requests.get(process.url, timeout=5).json()["counters"]["texts"] < 4:
            time.sleep(0.02)
        process.popen.send_signal(number)
        time.sleep(0.3)
        with pytest.raises(ConnectionError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert [future.result().status_code for future in accepted] == [200] * 4
    code, _, err = process.ended()
    assert (code, err) == (0, "")


def test_it_ends_with_the_process_that_started_it(start: Start) -> None:
    process = start("--exit-with-parent").ready()
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert process.popen.wait(20) == 0


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_a_killed_parent_leaves_no_server_behind(tmp_path: Path) -> None:
    parent = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)\n"
        "print(child.stdout.readline(), flush=True)\n"
        "time.sleep(60)\n"
    )
    command = [sys.executable, str(SCRIPT), "--cache", str(tmp_path), "--unsigned", "--exit-with-parent"]
    with subprocess.Popen([sys.executable, "-c", parent, *command], stdout=subprocess.PIPE, text=True) as popen:
        assert popen.stdout is not None
        pid = json.loads(popen.stdout.readline())["pid"]
        popen.kill()
    end = time.monotonic() + 20
    while Path(f"/proc/{pid}").exists() and _state(pid) != "Z":
        assert time.monotonic() < end, "the server outlived its parent"
        time.sleep(0.05)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def one_line_failure(process: Process) -> str:
    code, out, err = process.ended()
    assert (code, out) == (1, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_a_port_in_use_is_one_line_that_names_it_and_the_next_step(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        said = one_line_failure(start("--port", str(port)))
    assert f"127.0.0.1:{port}" in said
    assert "next: " in said


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ('{"AKID": "s3cret-canary"}', 0o644, "chmod 600"),
        ("s3cret-canary", 0o600, "not JSON"),
        ("{}", 0o600, "no keys"),
        ('{"AKID": {"secret": "s3cret-canary"}}', 0o600, "secret_key"),
        ('{"AKID": {"secret_key": "s3cret-canary", "expires": "soon"}}', 0o600, "secret_key"),
    ],
)
def test_a_bad_credentials_file_is_one_line_without_its_content(
    start: Start, tmp_path: Path, content: str, mode: int, said: str
) -> None:
    error = one_line_failure(start("--credentials", str(keys_file(tmp_path, content, mode))))
    assert said in error
    assert "canary" not in error


def test_a_missing_credentials_file_is_one_line(start: Start, tmp_path: Path) -> None:
    assert "next: " in one_line_failure(start("--credentials", str(tmp_path / "none.json")))


def test_no_secret_appears_in_any_output(start: Start, tmp_path: Path) -> None:
    keys = keys_file(tmp_path, '{"AKID": {"secret_key": "s3cret-canary", "session_token": "token-canary"}}')
    process = start("--credentials", str(keys), "--log-json", "--verbose").ready()
    headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=AKID/canary", "X-Amz-Security-Token": "token-canary"}
    for given in ({}, headers):
        answer = requests.post(process.url + CLIP, data=b'{"inputText":"canary"}', headers=given, timeout=20)
        assert answer.status_code in (400, 403)
        assert "canary" not in answer.text
    process.popen.terminate()
    code, out, err = process.ended()
    assert code == 0
    assert "canary" not in out + err
    logged = [json.loads(line) for line in err.splitlines()]
    assert {"time", "level", "logger", "message"} == set(logged[0])
    assert any("code=MissingAuthenticationTokenException" in line["message"] for line in logged)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--unsigned", "--credentials", "keys.json"],
        ["--unsigned", "--port", "70000"],
        ["--unsigned", "--max-batch", "0"],
        ["--unsigned", "--max-batch", "64", "--max-queue", "32"],
    ],
)
def test_wrong_options_are_a_usage_error(tmp_path: Path, arguments: list[str]) -> None:
    command = [sys.executable, str(SCRIPT), "--cache", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_models_that_cannot_be_loaded_are_one_line(start: Start) -> None:
    said = one_line_failure(start("--region", "TOY-FAILS"))
    assert "the models can't be loaded: ValueError: no such model" in said


def test_interrupted_while_it_loads_it_says_nothing(start: Start) -> None:
    process = start("--region", "TOY-SLEEPS")
    assert process.popen.stderr is not None
    assert process.popen.stderr.readline() == "loading\n"
    process.popen.send_signal(signal.SIGINT)
    assert process.ended() == (130, "", "")


def png_of(side: int) -> str:
    """side x side black pixels of one bit, in a few kilobytes."""
    squeezer = zlib.compressobj(9)
    rows = b"\0" * ((side + 7) // 8 + 1)
    packed = b"".join(squeezer.compress(rows) for _ in range(side)) + squeezer.flush()
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)), (b"IDAT", packed), (b"IEND", b"")]
    data = b"\x89PNG\r\n\x1a\n"
    for name, content in chunks:
        data += struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
    return base64.b64encode(data).decode()


def transparent_png(side: int) -> str:
    out = io.BytesIO()
    Image.new("RGBA", (side, side), (1, 2, 3, 4)).save(out, "PNG")
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_bombs_and_the_largest_pictures_cost_bounded_memory(start: Start) -> None:
    process = start().ready()

    def send(picture: str) -> int:
        body = json.dumps({"inputImage": picture})
        return requests.post(process.url + CLIP, data=body, timeout=120).status_code

    small = process.peak_megabytes()
    with ThreadPoolExecutor(16) as pool:
        assert set(pool.map(send, [png_of(30_000)] * 32)) == {424}
    assert process.peak_megabytes() < small + 100
    largest = transparent_png(6_300)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(send, [largest] * 4)) == {200}
    assert process.peak_megabytes() < small + 1_000
    junk = json.dumps({"inputImage": "A" * 6_000_000})
    with ThreadPoolExecutor(16) as pool:
        answers = set(
            pool.map(lambda body: requests.post(process.url + CLIP, body, timeout=60).status_code, [junk] * 24)
        )
    assert answers <= {424, 429}
    assert process.peak_megabytes() < small + 1_200
    assert send(png_of(64)) == 200


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
def test_memory_does_not_grow_with_the_number_of_requests_good_or_bad(start: Start) -> None:
    process = start().ready()
    picture = json.dumps({"inputImage": transparent_png(64)}).encode()
    bodies = (GOOD, b'{"inputText":', b"[" * 5_000, picture, b"x" * 50_000)

    def rounds(count: int) -> int:
        with requests.Session() as session:
            for number in range(count):
                session.post(process.url + CLIP, data=bodies[number % len(bodies)], timeout=20)
        return process.peak_megabytes()

    warm = rounds(100)
    assert rounds(500) < warm + 8


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 4096 if hard == resource.RLIM_INFINITY else min(4096, hard)
    if wanted < 2048:
        pytest.skip(f"only {hard} open files are allowed here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_files")
def test_a_thousand_connections_do_not_keep_ping_from_answering(start: Start) -> None:
    process = start().ready()
    port = int(process.url.rpartition(":")[2])
    idle = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(1000)]
    try:
        for connection in idle[::2]:
            connection.sendall(b"POST /ping HTTP/1.1\r\nHost: x\r\n")
        started = time.monotonic()
        assert requests.get(process.url + "/ping", timeout=10).status_code == 200
        assert requests.post(process.url + CLIP, data=GOOD, timeout=10).status_code == 200
        assert time.monotonic() - started < 5
    finally:
        for connection in idle:
            connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [6, pytest.param(60, marks=pytest.mark.extended)])
def test_at_three_times_its_capacity_it_answers_as_many_as_before_and_refuses_the_rest(
    start: Start, seconds: int
) -> None:
    """A model of 20 batches of 4 a second; 60 clients that come back at once offer far more than the queue holds."""
    process = start("--max-batch", "4", "--max-queue", "16", seconds=0.05).ready()
    end = time.monotonic() + seconds
    tally = {200: 0, 429: 0}
    slowest = 0.0
    lock = threading.Lock()

    def client(_number: int) -> None:
        nonlocal slowest
        with requests.Session() as session:
            while time.monotonic() < end:
                started = time.monotonic()
                answer = session.post(process.url + CLIP, data=GOOD, timeout=30)
                with lock:
                    tally[answer.status_code] += 1
                    if answer.status_code == 200:
                        slowest = max(slowest, time.monotonic() - started)
                if answer.status_code == 429:
                    time.sleep(0.2)

    with ThreadPoolExecutor(60) as pool:
        list(pool.map(client, range(60)))
    assert tally[429] > 0
    assert tally[200] / seconds > 0.6 * 80
    assert slowest < 3
    assert requests.post(process.url + CLIP, data=GOOD, timeout=5).status_code == 200


def test_a_start_that_fails_while_the_parent_lives_ends_cleanly(start: Start) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        process = start("--exit-with-parent", "--port", str(taken.getsockname()[1]))
        assert process.popen.wait(20) == 1  # our end of its stdin is still open
    one_line_failure(process)
