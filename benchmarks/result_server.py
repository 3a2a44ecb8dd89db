"""
Large results, sent as fast as the system can send a file: ``python -m benchmarks.result_server PORT``.

``…/200`` is a result of 200 MB, in JSON whatever is asked for; ``/missing`` is 404; ``/count`` counts those.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import BinaryIO

HEAD, TAIL = b'{"query_id": 1, "status": "success", "data": [', b"{}]}"
ROW = b'{"carrier": "UA", "flights": 12345, "mean_dep_delay": 12.106072887885284},\n'
MEGABYTE = 1_000_000


def write_result(file: BinaryIO, size: int) -> None:
    """Write so many bytes of JSON, near enough."""
    rows = ROW * (MEGABYTE // len(ROW))
    file.write(HEAD)
    while file.tell() < size:
        file.write(rows)
    file.write(TAIL)
    file.flush()


def serve(port: int, files: ExitStack) -> None:
    """Serve until somebody ends the process."""
    missed = 0

    @cache
    def open_result(megabytes: int) -> BinaryIO:
        file: BinaryIO = files.enter_context(tempfile.TemporaryFile())  # type: ignore[assignment]  # noqa: SIM115
        write_result(file, megabytes * MEGABYTE)
        return file

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            nonlocal missed
            if self.path == "/missing":
                missed += 1
                self.begin(404, 0)
            elif self.path == "/count":
                text = str(missed).encode()
                self.begin(200, len(text))
                self.wfile.write(text)
            else:
                file = open_result(int(self.path.rpartition("/")[2]))
                size = file.seek(0, 2)
                self.begin(200, size)
                self.wfile.flush()
                self.connection.sendfile(file, 0, size)

        def begin(self, status: int, size: int) -> None:
            accept = self.headers.get("Accept", "*/*")
            self.send_response(status)
            self.send_header("Content-Length", str(size))
            self.send_header("Content-Type", "application/json" if "*" in accept else accept)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler, bind_and_activate=False)
    server.request_queue_size = 1024
    server.server_bind()
    server.server_activate()
    server.serve_forever()


if __name__ == "__main__":
    with ExitStack() as stack:
        serve(int(sys.argv[1]), stack)
