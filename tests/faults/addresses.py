"""Addresses in all their forms, and a listener that hears when somebody follows one."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass

FORMS = (
    "http://127.0.0.1:{port}/a.png",
    "https://127.0.0.1:{port}/a.png",
    "HTTP://127.0.0.1:{port}/a.png",
    "http://localhost:{port}/a.png",
    "http://[::1]:{port}/a.png",
    "http://[::ffff:127.0.0.1]:{port}/a.png",
    "http://2130706433:{port}/a.png",
    "http://0x7f.1:{port}/a.png",
    "http://user:word@127.0.0.1:{port}/a.png",
    "http://127.0.0.1.nip.invalid:{port}/a.png",
    "http://169.254.169.254/latest/meta-data?to=127.0.0.1:{port}",
    "//127.0.0.1:{port}/a.png",
    "ftp://127.0.0.1:{port}/a.png",
    "gopher://127.0.0.1:{port}/_GET",
    "s3://127.0.0.1:{port}/a.png",
    "file:///etc/passwd?{port}",
    "\\\\127.0.0.1@{port}\\share\\a.png",
    "url:http://127.0.0.1:{port}/a.png",
    " http://127.0.0.1:{port}/a.png",
    "data:image/svg+xml;utf8,<svg xmlns='http://www.w3.org/2000/svg'><image href='http://127.0.0.1:{port}/'/></svg>",
    "<image xlink:href='http://127.0.0.1:{port}/a.png'/>",
)


@dataclass(frozen=True)
class Listener:
    """Sockets on one port of this machine, over both versions of IP where it has both."""

    port: int
    sockets: tuple[socket.socket, ...]

    def heard(self) -> bool:
        """Whether anybody has connected."""
        return bool(select.select(self.sockets, [], [], 0)[0])

    def addresses(self) -> dict[str, str]:
        """All forms of an address that lead here."""
        return {f"u{number}": form.format(port=self.port) for number, form in enumerate(FORMS)}


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener; it never answers."""
    with ExitStack() as stack:
        four = stack.enter_context(closing(socket.create_server(("127.0.0.1", 0))))
        port = four.getsockname()[1]
        opened = [four]
        with suppress(OSError):  # no IPv6 on this machine, or its port is taken
            opened.append(stack.enter_context(closing(socket.create_server(("::1", port), family=socket.AF_INET6))))
        yield Listener(port, tuple(opened))
