"""Files over HTTP on the loopback, in every way in which a server can send them."""

from __future__ import annotations

import http.server
import threading
from pathlib import Path

_CHUNK = 4096


class WebServer:
    """Serves `files`: names -> bytes. An address is /HOW/NAME, and HOW says how the reply comes:

    "length": with Content-Length; "chunked": in chunks; "close": ends by closing, as HTTP/1.0 does. With "-cut" behind
    it, half of the file comes, and then the connection breaks off. "to": a redirection to the address in NAME.
    """

    def __init__(self, files: dict[str, bytes] | None = None, folder: Path | None = None):
        self.files = dict(files or {})
        for path in folder.iterdir() if folder is not None else ():
            self.files[path.name] = path.read_bytes()
        self.asked: list[str] = []
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                server.asked.append(self.path)
                how, name = self.path[1:].split("/", 1)
                self.close_connection = True
                if how == "to":
                    self.send_response(302)
                    self.send_header("Location", name)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif name not in server.files:
                    self.send_error(404)
                else:
                    how, _, cut = how.partition("-")
                    self.send_file(how, server.files[name], bool(cut))

            def send_file(self, how: str, data: bytes, cut: bool):
                self.send_response(200)
                sent = data[: len(data) // 2] if cut else data
                if how == "length":
                    self.send_header("Content-Length", str(len(data)))
                elif how == "chunked":
                    self.send_header("Transfer-Encoding", "chunked")
                self.send_header("Connection", "close")
                self.end_headers()
                if how == "chunked":
                    parts = [sent[i : i + _CHUNK] for i in range(0, len(sent), _CHUNK)]
                    sent = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)
                    sent += b"" if cut else b"0\r\n\r\n"
                self.wfile.write(sent)

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> WebServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
