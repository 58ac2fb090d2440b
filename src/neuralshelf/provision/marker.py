"""The ownership marker that every object of ours carries. State is read back from it: there is no state file."""

import re
from dataclasses import dataclass

# ML Commons allows only letters, digits, white space and . , ! ? ( ) : @ - _ ' / " in descriptions.
_MARKER = re.compile(
    r"managed-by neuralshelf \((?P<prefix>[^/\s]+)/(?P<address>\S+) fp:(?P<fingerprint>[0-9a-f]{16})\)"
)


@dataclass(frozen=True)
class Marker:
    """Who owns an object and what it was made from."""

    prefix: str
    address: str
    fingerprint: str

    def __str__(self) -> str:
        return f"managed-by neuralshelf ({self.prefix}/{self.address} fp:{self.fingerprint})"

    @classmethod
    def find(cls, text: str | None) -> "Marker | None":
        """The marker inside a description, or None."""
        match = _MARKER.search(text or "")
        return cls(**match.groupdict()) if match else None
