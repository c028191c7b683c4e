"""A network camera: MJPEG over HTTP, as multipart/x-mixed-replace."""

from __future__ import annotations

import http.server
import threading
import time
from pathlib import Path

import cv2

from transducer.media import open_video

_BOUNDARY = "frame"


class MjpegServer:
    """Sends the pictures of a video to whoever asks, at a rate, and then ends.

    Args:
        video: its path.
        fps: pictures a second that are sent; None for as fast as they are read.
        lengths: whether the parts have a Content-Length.

    Attributes:
        pictures: what there is to be sent, JPEG.
        sent: how many have been, to whoever asked last.
    """

    def __init__(self, video: Path, fps: float | None = None, lengths: bool = True):
        self.pictures: list[bytes] = []
        with open_video(video) as reader:
            for frame in reader:
                _, jpeg = cv2.imencode(".jpg", frame.image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
                self.pictures.append(jpeg.tobytes())
        self.sent = 0
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def log_message(self, *arguments):
                pass

            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self.end_headers()
                begin = time.monotonic()
                try:
                    for number, picture in enumerate(server.pictures):
                        if fps is not None:
                            time.sleep(max(0.0, begin + number / fps - time.monotonic()))
                        length = f"Content-Length: {len(picture)}\r\n" if lengths else ""
                        head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n{length}\r\n"
                        self.wfile.write(head.encode() + picture + b"\r\n")
                        server.sent = number + 1
                    self.wfile.write(f"--{_BOUNDARY}--\r\n".encode())
                except OSError:  # who asked has left
                    pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}/video.mjpg"

    def __enter__(self) -> MjpegServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._server.shutdown()
        self._server.server_close()
