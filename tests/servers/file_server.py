"""A server of files on 127.0.0.1 that can break off, answer with errors, and tell what it was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote


class Files:
    """`content`: path -> bytes. `breaks`: path -> how many answers are broken off in the middle first."""

    def __init__(self, content: dict[str, bytes]) -> None:
        self.content = content
        self.breaks: dict[str, int] = {}
        self.asked: list[str] = []
        self.url = ""


@contextmanager
def serve_files(content: dict[str, bytes]) -> Iterator[Files]:
    files = Files(content)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path).lstrip("/")
            files.asked.append(path)
            body = files.content.get(path)
            if body is None:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if files.breaks.get(path, 0):
                files.breaks[path] -= 1
                self.wfile.write(body[: len(body) // 2])
                self.wfile.flush()
                self.connection.close()
                return
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    files.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
