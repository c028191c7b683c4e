"""Who may come in: a token, and the origins of pages."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from transducer.server.limits import POLICY, Refused


@dataclass(frozen=True)
class Access:
    """What a connection needs.

    Attributes:
        token: None where none is asked for.
        origins: of pages that may connect, beside those of this server itself; "*" for all.
    """

    token: str | None = None
    origins: Sequence[str] = ()

    def check(self, connection: HTTPConnection) -> None:
        """Raises Refused where the connection may not come in."""
        self.check_origin(connection)
        if self.token is None:
            return
        scheme, _, given = connection.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer":
            given = connection.query_params.get("token", "")
        # In constant time, so that it cannot be guessed letter by letter.
        if not hmac.compare_digest(given.strip().encode(), self.token.encode()):
            raise Refused(POLICY, "token", "a token is needed: ?token=..., or the header Authorization: Bearer ...")

    def check_origin(self, connection: HTTPConnection) -> None:
        """Browsers say which page connects; other programs say nothing."""
        host = connection.headers.get("host", "")
        if self.token is None and not _is_own(host):
            # Or any page could reach it, under a name of its own that it points to this machine (DNS rebinding).
            raise Refused(POLICY, "host", "without a token the server answers to its address only, not to a name")
        origin = connection.headers.get("origin")
        if origin is None or "*" in self.origins or origin in self.origins:
            return
        if urlsplit(origin).netloc.lower() != host.lower():
            raise Refused(POLICY, "origin", "pages of this origin may not connect; see --allow-origin")


def _is_own(host: str) -> bool:
    """Whether it is an address, or localhost."""
    name = urlsplit(f"//{host}").hostname or ""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
