"""Laws of putting off the search for garbage: it goes on as soon as nobody asks for that, in forked children too."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from filestore.garbage import collected_later


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_goes_on_when_the_last_has_ended() -> None:
    first, second = collected_later(), collected_later()
    for enter in (first, second):
        enter.__enter__()
        assert not gc.isenabled()
    first.__exit__(None, None, None)
    assert not gc.isenabled()
    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_it_goes_on_although_some_thread_or_other_asks_all_the_time() -> None:
    waiting = [collected_later()]
    waiting[0].__enter__()
    was_enabled = []
    for _ in range(200):
        waiting.append(collected_later())
        waiting[-1].__enter__()
        waiting.pop(0).__exit__(None, None, None)
        was_enabled.append(gc.isenabled())
    assert any(was_enabled)


def test_it_stays_off_where_it_was() -> None:
    gc.disable()
    with collected_later():
        pass
    assert not gc.isenabled()


def test_it_goes_on_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), collected_later():
        _ = 1 / 0
    assert gc.isenabled()


FORK = """
import gc, os, threading
from filestore import FileStore
from filestore.garbage import collected_later

def ask():
    with collected_later():
        asked.set()
        enough.wait()

asked, enough = threading.Event(), threading.Event()
thread = threading.Thread(target=ask)
thread.start()
asked.wait()
child = os.fork()
if not child:
    print(gc.isenabled(), flush=True)
    with collected_later():
        print(gc.isenabled(), flush=True)
    print(gc.isenabled(), flush=True)
    os._exit(0)
os.waitpid(child, 0)
enough.set()
thread.join()
print(gc.isenabled())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_it_goes_on_in_a_child_that_was_forked_while_a_thread_asked() -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORK]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["True", "False", "True", "True"]
