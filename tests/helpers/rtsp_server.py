"""A camera's microphone on the loopback: just enough of RTSP (RFC 7826's predecessor 2326) to send sound once."""

from __future__ import annotations

import socket
import struct
import threading

import numpy as np

_PACKET = 160  # samples, 20 ms at 8 kHz


class RtspServer:
    """Sends `sound` (samples,) at 8 kHz as 16-bit PCM in RTP, interleaved in the TCP connection."""

    def __init__(self, sound: np.ndarray):
        self._payload = np.round(sound * 32767).astype(">i2")
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"rtsp://127.0.0.1:{self._socket.getsockname()[1]}/live"
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> RtspServer:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()
        self._thread.join(timeout=5)

    def _serve(self) -> None:
        connection, _ = self._socket.accept()
        with connection, connection.makefile("rb") as requests:
            while line := requests.readline():
                method = line.split()[0].decode()
                headers = {}
                while field := requests.readline().strip():
                    name, _, value = field.decode().partition(":")
                    headers[name.lower()] = value.strip()
                self._answer(connection, method, headers)
                if method == "PLAY":
                    self._play(connection)
                    return

    def _answer(self, connection: socket.socket, method: str, headers: dict[str, str]) -> None:
        fields = {"CSeq": headers["cseq"], "Session": "1"}
        body = ""
        if method == "OPTIONS":
            fields["Public"] = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN"
        elif method == "DESCRIBE":
            body = "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=live\r\nt=0 0\r\nm=audio 0 RTP/AVP 97\r\n"
            body += "a=rtpmap:97 L16/8000/1\r\na=control:track1\r\n"
            fields |= {"Content-Type": "application/sdp", "Content-Length": str(len(body))}
        elif method == "SETUP":
            fields["Transport"] = "RTP/AVP/TCP;unicast;interleaved=0-1"
        lines = ["RTSP/1.0 200 OK", *(f"{name}: {value}" for name, value in fields.items())]
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())

    def _play(self, connection: socket.socket) -> None:
        for number, start in enumerate(range(0, len(self._payload), _PACKET)):
            header = struct.pack(">BBHII", 0x80, 97, number, 1_000_000 + start, 7)
            packet = header + self._payload[start : start + _PACKET].tobytes()
            connection.sendall(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
