"""Verification of AWS Signature Version 4 in the Authorization header, as SageMaker and Bedrock do it.

Two steps, so that nothing of a body is looked at before its signature holds: `claim` checks what the headers alone
say (key, token, scope, date), `verify` recomputes the signature over method, path, query, signed headers and the
body's hash.

Codes and wordings are those these services answer: everything that is wrong with a signature is
InvalidSignatureException, with a window of five minutes for the clock. A request may be replayed within that window,
as with AWS. Signatures in the query string, `UNSIGNED-PAYLOAD` and chunk signatures are not taken: neither service
needs them.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote_to_bytes

from neuralshelf.model_packages.server.refusals import SignatureRefused

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
_STAMP = "%Y%m%dT%H%M%SZ"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True)
class Credential:
    """What stands behind an access key. A temporary one has a session token, and may have an end (aware datetime)."""

    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: datetime | None = None


@dataclass(frozen=True)
class SignedRequest:
    """The parts of a request that a signature covers, as they came over the wire; the body apart."""

    method: str
    raw_path: bytes
    query: bytes
    headers: Mapping[str, str]
    """Lower-case names; values of a repeated header joined by a comma, in order."""

    @staticmethod
    def fold(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
        """Raw ASGI headers (latin-1) as `headers` wants them."""
        folded: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name = raw_name.decode("latin-1").lower()
            value = b" ".join(raw_value.split()).decode("latin-1")
            folded[name] = f"{folded[name]},{value}" if name in folded else value
        return folded


@dataclass(frozen=True)
class Claim:
    """What an Authorization header says, its key known and its scope and date in order."""

    secret_key: str = field(repr=False)
    stamp: str
    scope: str
    signed_headers: tuple[str, ...]
    signature: str = field(repr=False)


@dataclass(frozen=True)
class Verifier:
    """Knows the keys and the region of one server."""

    credentials: Mapping[str, Credential | str]
    region: str
    window: timedelta = timedelta(minutes=5)

    def claim(self, request: SignedRequest, service: str, now: datetime) -> Claim:
        """Check what can be checked without the body.

        Raises:
            SignatureRefused: with AWS's code: MissingAuthenticationTokenException, IncompleteSignatureException,
                UnrecognizedClientException, ExpiredTokenException or InvalidSignatureException.
        """
        parameters = _parameters(request.headers.get("authorization"))
        stamp = request.headers.get("x-amz-date", "")
        when = _moment(stamp)
        key, *scope = parameters["Credential"].split("/")
        if len(scope) != 4:
            text = "Credential must have exactly 5 slash-delimited elements."
            raise SignatureRefused("IncompleteSignatureException", text, 400)
        kept = self.credentials.get(key)
        credential = Credential(kept) if isinstance(kept, str) else kept
        if credential is None or not _same(request.headers.get("x-amz-security-token"), credential.session_token):
            text = "The security token included in the request is invalid."
            raise SignatureRefused("UnrecognizedClientException", text)
        if credential.expires is not None and credential.expires <= now:
            text = "The security token included in the request is expired"
            raise SignatureRefused("ExpiredTokenException", text)
        self._check_scope(scope, service, stamp)
        self._check_window(when, now)
        signed = tuple(parameters["SignedHeaders"].lower().split(";"))
        if "host" not in signed:
            raise _invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
        return Claim(credential.secret_key, stamp, "/".join(scope), signed, parameters["Signature"])

    def _check_scope(self, scope: Sequence[str], service: str, stamp: str) -> None:
        date, region, scoped_service, terminator = scope
        if region != self.region:
            raise _invalid("Credential should be scoped to a valid region. ")
        if scoped_service != service:
            raise _invalid(f"Credential should be scoped to correct service: '{service}'. ")
        if terminator != TERMINATOR:
            raise _invalid(f"Credential should be scoped with a valid terminator: '{TERMINATOR}'. ")
        if date != stamp[:8]:
            raise _invalid("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")

    def _check_window(self, when: datetime, now: datetime) -> None:
        signed, here = when.strftime(_STAMP), now.strftime(_STAMP)
        minutes = f"{self.window.total_seconds() / 60:g} min."
        if when < now - self.window:
            edge = (now - self.window).strftime(_STAMP)
            raise _invalid(f"Signature expired: {signed} is now earlier than {edge} ({here} - {minutes})")
        if when > now + self.window:
            edge = (now + self.window).strftime(_STAMP)
            raise _invalid(f"Signature not yet current: {signed} is still later than {edge} ({here} + {minutes})")

    @staticmethod
    def verify(claim: Claim, request: SignedRequest, body_sha256: str) -> None:
        """Recompute the signature and compare it in constant time.

        The hash of the bytes that came is what counts: a client that declares another hash, or none
        (`UNSIGNED-PAYLOAD`), is refused.

        Raises:
            SignatureRefused: InvalidSignatureException.
        """
        if not _same(request.headers.get("x-amz-content-sha256", body_sha256), body_sha256):
            raise _invalid("The provided 'x-amz-content-sha256' header does not match what was computed.")
        if any(name not in request.headers for name in claim.signed_headers):
            raise _invalid(_MISMATCH)
        digest = hashlib.sha256(canonical_request(request, claim.signed_headers, body_sha256)).hexdigest()
        text = "\n".join((ALGORITHM, claim.stamp, claim.scope, digest))
        if not _same(_signature(claim, text), claim.signature):
            raise _invalid(_MISMATCH)


def canonical_request(request: SignedRequest, signed_headers: Sequence[str], body_sha256: str) -> bytes:
    """The canonical request of the Signature Version 4 specification, for every service but S3 (path encoded twice)."""
    headers = "".join(f"{name}:{request.headers[name]}\n" for name in signed_headers)
    lines = (
        request.method,
        _canonical_path(request.raw_path),
        _canonical_query(request.query),
        headers,
        ";".join(signed_headers),
        body_sha256,
    )
    return "\n".join(lines).encode("latin-1")


def _canonical_path(raw_path: bytes) -> str:
    kept: list[bytes] = []
    for segment in raw_path.split(b"/"):
        if segment == b"..":
            del kept[-1:]
        elif segment not in (b"", b"."):
            kept.append(segment)
    path = b"/" + b"/".join(kept)
    if kept and raw_path.endswith(b"/"):
        path += b"/"
    return quote(path, safe="/-_.~")


def _canonical_query(query: bytes) -> str:
    pairs = []
    for part in query.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append(tuple(quote(unquote_to_bytes(half), safe="-_.~") for half in (name, value)))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _signature(claim: Claim, text: str) -> str:
    key = b"AWS4" + claim.secret_key.encode()
    for part in claim.scope.split("/"):
        key = hmac.digest(key, part.encode("latin-1"), "sha256")
    return hmac.new(key, text.encode("latin-1"), hashlib.sha256).hexdigest()


def _parameters(header: str | None) -> dict[str, str]:
    if header is None:
        raise SignatureRefused("MissingAuthenticationTokenException", "Missing Authentication Token")
    algorithm, _, rest = header.partition(" ")
    found: dict[str, str] = {}
    for part in rest.split(","):
        name, _, value = part.strip().partition("=")
        if name in found:
            text = f"Authorization header has '{name[:20]}' twice."
            raise SignatureRefused("IncompleteSignatureException", text, 400)
        found[name] = value
    missing = [name for name in ("Credential", "Signature", "SignedHeaders") if not found.get(name)]
    if algorithm != ALGORITHM or missing:
        wanted = missing or ["Credential", "Signature", "SignedHeaders"]
        text = " ".join(f"Authorization header requires '{name}' parameter." for name in wanted)
        raise SignatureRefused("IncompleteSignatureException", text, 400)
    return found


def _moment(stamp: str) -> datetime:
    if not re.fullmatch(r"[0-9]{8}T[0-9]{6}Z", stamp):
        text = "Authorization header requires existence of one 'X-Amz-Date' header, as YYYYMMDDTHHMMSSZ."
        raise SignatureRefused("IncompleteSignatureException", text, 400)
    try:
        return datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise SignatureRefused("IncompleteSignatureException", "'X-Amz-Date' is no date.", 400) from None


def _same(given: str | None, known: str | None) -> bool:
    return hmac.compare_digest((given or "").encode(), (known or "").encode())


def _invalid(message: str) -> SignatureRefused:
    return SignatureRefused("InvalidSignatureException", message)
