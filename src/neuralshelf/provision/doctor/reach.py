"""Why a cluster does not answer: told from what the client ran into, and from one look at the port."""

import re
import socket
import ssl
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

from opensearchpy import ConnectionError as ClusterUnreachable
from opensearchpy import ConnectionTimeout, TransportError
from opensearchpy.exceptions import OpenSearchException, SerializationError

from neuralshelf.client import reason
from neuralshelf.errors import one_line
from neuralshelf.provision.doctor.asking import Asker, Away, Json, Unanswered, denied_actions
from neuralshelf.provision.doctor.findings import Finding, finding

GIVE_UP_SECONDS = 12.0
_LOOK_SECONDS = 3.0

# What the client's words say, the first that is found.
_WORDS = (
    (r"CERTIFICATE_VERIFY_FAILED|certificate verify failed|doesn't match", "cluster-certificate-untrusted"),
    (r"WRONG_VERSION_NUMBER|record layer failure|UNKNOWN_PROTOCOL|HTTP_REQUEST", "cluster-wrong-scheme"),
    (r"Name or service not known|name resolution|nodename nor servname|getaddrinfo|NameResolution", "name"),
    (r"refused", "cluster-refused"),
    (r"timed out|Timeout|No route to host|unreachable", "cluster-timeout"),
)
_CERTIFICATE = re.compile(r"certificate verify failed: ([^(\]]+)")
_LOGIN = re.compile(r"security token|signature", re.IGNORECASE)
_TLS_WANTED = re.compile(r"plain HTTP request was sent to HTTPS port|Client sent an HTTP request to an HTTPS server")


def greet(ask: Asker) -> Json | None:
    """The answer to `GET /`; None where this login may not ask that.

    Raises:
        Away: it does not come, or is a refusal of another kind.
    """
    found: list[Json] = []
    faults: list[Away | Unanswered] = []

    def greeting() -> None:
        try:
            found.append(ask.get("/"))
        except (Away, Unanswered) as fault:
            faults.append(fault)

    _within(GIVE_UP_SECONDS, greeting)
    if faults:
        fault = faults[0].fault
        assert fault is not None
        if isinstance(fault, TransportError) and denied_actions(fault):
            return None
        ask.denied.clear()  # it is not a matter of permissions
        raise Away(fault)
    if not found:  # resolving a name can take longer than any time-out of the client
        raise Away(ConnectionTimeout("N/A", "no answer: timed out", None))
    return found[0]


def why_away(fault: OpenSearchException, url: str) -> Finding:
    """What to make of a cluster that is away.

    Args:
        url: where it should be.
    """
    address = _address(url)
    if isinstance(fault, SerializationError):
        return _other_program(url, "its answer is no JSON")
    if isinstance(fault, ClusterUnreachable):
        return _unreachable(one_line(f"{fault.error} {fault.info}", 2000), url)
    assert isinstance(fault, TransportError)
    said = reason(fault)
    if fault.status_code == 401 or (fault.status_code == 403 and _LOGIN.search(said)):
        return finding("login-refused", address, address=address, said=said or "401 Unauthorized")
    if _TLS_WANTED.search(said):
        return _scheme(url)
    if fault.error == "circuit_breaking_exception":
        return finding("memory-breaker-open", address, said=said)
    return finding("cluster-unavailable", address, address=address, said=said)


def not_opensearch(answer: Json, url: str) -> Finding | None:
    """A finding unless `answer` is what OpenSearch gives to `GET /`."""
    version = answer.get("version") if isinstance(answer, dict) else None
    if isinstance(version, dict) and version.get("distribution") == "opensearch":
        return None
    if isinstance(version, dict) and "number" in version:
        return _other_program(url, f"it says that it is version {version['number']} of something else")
    return _other_program(url, "it does not say which version it is")


def _unreachable(words: str, url: str) -> Finding:
    address = _address(url)
    code = next((code for pattern, code in _WORDS if re.search(pattern, words)), "")
    if code == "name":
        return finding("cluster-name-unknown", address, address=address)
    if code == "cluster-certificate-untrusted":
        said = _CERTIFICATE.search(words)
        return finding(code, address, address=address, said=said[1].strip() if said else "names another host")
    if code == "cluster-wrong-scheme":
        return _scheme(url)
    if code:
        return finding(code, address, address=address)
    if url.startswith("http://") and _speaks_tls(url):
        return _scheme(url)
    return _other_program(url, "it closes the connection without an answer")


def _scheme(url: str) -> Finding:
    right, wrong = ("http", "https") if url.startswith("https://") else ("https", "http")
    return finding("cluster-wrong-scheme", _address(url), address=_address(url), right=right, wrong=wrong)


def _other_program(url: str, said: str) -> Finding:
    return finding("cluster-not-opensearch", _address(url), address=_address(url), said=said)


def _speaks_tls(url: str) -> bool:
    parts = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # nothing is sent: only whether it answers to a TLS greeting
    try:
        with (
            socket.create_connection((parts.hostname or "", parts.port or 80), timeout=_LOOK_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=parts.hostname),
        ):
            return True
    except (OSError, ValueError):
        return False


def _address(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _within(seconds: float, call: Callable[[], None]) -> None:
    """Run `call`, and wait no longer than that; what still runs then is left behind."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(seconds)
