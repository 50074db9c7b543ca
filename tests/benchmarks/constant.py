"""A program that answers every GET with the same bytes: what an HTTP server of the standard library costs.

python -m tests.benchmarks.constant BYTES
"""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Server(ThreadingHTTPServer):
    """A server that hundreds may call at once."""

    request_queue_size = 1024
    daemon_threads = True


def main(size: int) -> None:
    """Serve until terminated."""
    body = b"[" + b" " * (size - 2) + b"]"

    class Handler(BaseHTTPRequestHandler):
        """One connection, kept alive; each answer is one write, sent at once."""

        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with Server(("127.0.0.1", 0), Handler) as server:
        print(f"Listening on http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]))
