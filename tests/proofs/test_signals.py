"""The law of signals: one is never lost, however close before the wait for the next connection it comes."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

import pytest

from tests.proofs.effort import choose, count
from tests.proofs.processes import until

STOPS = choose(100, 20_000)
SERVE_AND_STOP = """
import os, random, signal, socket, sys, threading, time
from filestore import FileStore
from filestore.cli.serve import stopped_by_signals
from filestore.gateway.app import Application
from filestore.gateway.server import Server

REQUEST = b"GET /status HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n"
app = Application(FileStore(sys.argv[1], durable=False))

def stop_after_answer(server, is_over):
    with socket.create_connection(("127.0.0.1", server.port)) as client:
        client.sendall(REQUEST)
        client.recv(1000)
        moment = time.perf_counter() + random.random() * 0.0003
        while time.perf_counter() < moment:
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        if not is_over.wait(10):
            print("a signal was lost")
            server.request_stop()

for number in range(int(sys.argv[2])):
    server, is_over = Server(app), threading.Event()
    person = threading.Thread(target=stop_after_answer, args=(server, is_over))
    with stopped_by_signals(server):
        person.start()
        server.serve_forever()
        is_over.set()
        person.join()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sends a signal of POSIX")
def test_a_gateway_hears_each_signal_to_stop(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SERVE_AND_STOP, str(tmp_path), str(STOPS)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    count("gateways stopped by a signal", STOPS)


@pytest.mark.skipif(sys.platform != "linux", reason="looks at the threads of another process")
@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("second", [signal.SIGINT, signal.SIGTERM])
def test_a_second_signal_waits_for_no_request(tmp_path: Path, first: int, second: int) -> None:
    command = [sys.executable, "-m", "filestore", "--root", str(tmp_path), "serve", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdout is not None
        address = urlsplit(gateway.stdout.readline().split()[-1])
        with socket.create_connection((address.hostname, address.port)) as client:
            # A request that is under way for as long as its body takes to come.
            client.sendall(b"POST /v1/datasets/d/datapoints HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
            assert until(lambda: threads_of(gateway.pid) > 1)
            gateway.send_signal(first)
            assert until(lambda: not listens(address))
            gateway.send_signal(second)
            assert gateway.wait(60) == -second


def threads_of(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def listens(address: SplitResult) -> bool:
    try:
        socket.create_connection((address.hostname, address.port)).close()
    except ConnectionRefusedError:
        return False
    return True
