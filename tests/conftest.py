"""Parts of the suite that need a program of their own are skipped with the reason, unless they are required.

`NEURALSHELF_REQUIRE=browser,container,detector,security` turns a skip of such a part into a failure: continuous
integration sets it, so that nothing there is passed over in silence.
"""

import os
import signal
from collections.abc import Generator

import pytest

from neuralshelf.engine.jvm_options import OPTIONS_VARIABLE

pytest_plugins = ("tests.engine.fixtures",)  # one engine a session, for all parts

PARTS = ("browser", "container", "detector", "security")


def pytest_configure() -> None:
    """Before the first process is started."""
    # The second compiler of the JVM takes longer than what it speeds up is run: half of an engine's start.
    os.environ.setdefault(OPTIONS_VARIABLE, "-XX:TieredStopAtLevel=1")
    # A shell's background job ignores Ctrl-C, and so would the processes that tests interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    required = [part for part in os.environ.get("NEURALSHELF_REQUIRE", "").split(",") if part]
    part = next((part for part in required if f"/{part}/" in item.path.as_posix()), None)
    if report.skipped and part and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped, but {part} is required here: {report.longrepr}"
    return report
