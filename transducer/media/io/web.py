"""Replies of web servers that don't say how long they are.

FFmpeg takes one that comes in chunks and is cut for a whole one, and one that ends by closing the connection, as those
of HTTP/1.0 do, for a broken one. Of all others it tells rightly whether they are whole.
"""

from __future__ import annotations

import http.client
import io
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from transducer.errors import MediaError
from transducer.version import VERSION

_KEPT = "%/:=&?~#+!$,;'@()*[]"  # of an address as it was given; all else that isn't ASCII is quoted


class WebReply(io.RawIOBase):
    """The body of a reply without a length; can't seek. Raises ConnectionError where it breaks off."""

    def __init__(self, response: http.client.HTTPResponse):
        self._response = response

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, as soon as there are some; b"" at the end."""
        try:
            return self._response.read1(size)
        except http.client.HTTPException:
            raise ConnectionError("it ended before its last chunk") from None

    def close(self) -> None:
        self._response.close()
        super().close()


def open_reply(address: str, name: str, timeout: float) -> WebReply | None:
    """The reply of an http or https address if it has no length; None for FFmpeg to read it, or to say why it can't.

    Raises:
        MediaError: no answer within `timeout` seconds.
    """
    parts = urlsplit(address)
    bare = quote(urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2])), safe=_KEPT)
    request = urllib.request.Request(bare, headers={"User-Agent": f"transducer/{VERSION}"})
    try:
        response = _opener(bare, parts.username, parts.password).open(request, timeout=timeout)
    except (OSError, http.client.HTTPException, ValueError) as error:
        if isinstance(getattr(error, "reason", error), TimeoutError):
            raise MediaError(f"{name}: no answer within {timeout:g} s; check the address and the network") from None
        return None
    if response.length is not None:
        response.close()
        return None
    return WebReply(response)


def _opener(address: str, user: str | None, password: str | None) -> urllib.request.OpenerDirector:
    """Follows redirections to http and https, and to nothing else."""
    handlers: list[Any] = [
        urllib.request.ProxyHandler(),
        urllib.request.UnknownHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=ssl.create_default_context()),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
    ]
    if user is not None:
        passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        passwords.add_password(None, address, unquote(user), unquote(password or ""))
        handlers += [urllib.request.HTTPBasicAuthHandler(passwords), urllib.request.HTTPDigestAuthHandler(passwords)]
    opener = urllib.request.OpenerDirector()
    for handler in handlers:
        opener.add_handler(handler)
    return opener
