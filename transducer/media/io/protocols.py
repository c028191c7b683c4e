"""What FFmpeg may open for a source: nothing but that source, unless the user gave the address of a playlist.

A container can name other files and addresses: playlists (HLS, DASH, ffconcat), session descriptions, subtitles in two
files. One that comes from elsewhere must not make this program read local files or ask servers inside a network.
"""

from __future__ import annotations

from functools import cache

import av
import av.format

# Formats that are lists of other files or addresses, or devices.
_REFERRING = {
    "avisynth", "concat", "dash", "hls", "imf", "rtp", "rtsp", "sap", "sdp", "vapoursynth", "vobsub",
    "webm_dash_manifest",
    "alsa", "dvdvideo", "fbdev", "gdigrab", "kmsgrab", "lavfi", "oss", "pulse", "v4l2", "video4linux2", "x11grab",
}  # fmt: skip

_WEB = "http,https,httpproxy,tls,tcp,crypto"
_RTMP = "rtmp,rtmpe,rtmps,rtmpt,rtmpte,rtmpts,ffrtmphttp,ffrtmpcrypt,http,https,tls,tcp"
# Kinds of addresses that can be named, and the protocols that FFmpeg may use for each.
_PROTOCOLS = {
    "http": _WEB,
    "https": _WEB,
    "rtsp": "rtsp,rtp,srtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tls,tcp",
    **dict.fromkeys(("rtmp", "rtmpe", "rtmps", "rtmpt", "rtmpte", "rtmpts"), _RTMP),
    "rtp": "rtp,udp",
    "srtp": "srtp,rtp,udp",
    "udp": "udp",
    "srt": "srt",
    "tcp": "tcp",
    "tls": "tls,tcp",
    "ftp": "ftp,tcp",
    "sftp": "sftp",
    "mmsh": "mmsh,http,tcp",
    "mmst": "mmst,tcp",
}


def is_known(scheme: str) -> bool:
    """Whether an address of this kind can be read; in lower case."""
    return scheme in _PROTOCOLS


def address_options(scheme: str) -> dict[str, str]:
    """Options for an address: what it leads to may name others of its own kind."""
    return {"protocol_whitelist": _PROTOCOLS[scheme]}


def file_options(path: bool) -> dict[str, str]:
    """Options for a local file (`path`), or for a file object, which has no protocol."""
    return {"protocol_whitelist": "file" if path else "none", "format_whitelist": _self_contained()}


@cache
def _self_contained() -> str:
    """FFmpeg's demuxers that read one file."""
    return ",".join(sorted(av.format.formats_available - _REFERRING))


def is_playlist(head: bytes) -> bool:
    """Whether a file that begins so is a list of others, as far as FFmpeg knows its kind."""
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    return text.startswith((b"#EXTM3U", b"ffconcat version")) or b"<MPD" in text or text.startswith(b"v=0")
