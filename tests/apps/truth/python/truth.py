"""What every Python program of the ledger shares: reading a plan, and writing rows.

A plan is described in tests/src/truth/plan.rs. A row goes to the process's own file with one write.
"""

import json
import os
import time

DELAYS = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5]
STATUSES = {"2": 200, "4": 404, "5": 500}
SERVICE = os.environ.get("SERVICE", "app")
PEERS = os.environ.get("PEERS", "").split(",")
LEAF = PEERS[-1]
POOL = int(os.environ.get("POOL", "16"))
FOLDER = os.environ.get("LEDGER", ".")
HABIT = os.environ.get("HABIT", "")
HEADER = "x-ledger-id"
# What background work asks the leaf for, and how long it goes on when no request comes.
PLAN = (LEAF, f"/t/{len(PEERS) - 1}s020")
REST = 0.3
_files = {}


def _end(text, at):
    """Where the plan that begins there ends."""
    calls, at = int(text[at + 4]), at + 5
    for _ in range(calls):
        at = _end(text, at)
    return at


class Plan:
    """One request, and the plans of its calls as text."""

    def __init__(self, text):
        self.parallel = text[1] in "pP"
        self.late = text[1] in "SP"
        self.delay = DELAYS[int(text[2])]
        self.status = STATUSES[text[3]]
        self.calls, at = [], 5
        for _ in range(int(text[4])):
            end = _end(text, at)
            self.calls.append((PEERS[int(text[at])], "/t/" + text[at:end]))
            at = end


def now():
    return time.time_ns()


def write(kind, call, parent, path, status, start):
    """One row: the id of a client's is the call's, that of a server's its own."""
    pid = os.getpid()
    file = _files.get(pid)
    if file is None:
        # A worker that was forked has a file of its own.
        name = os.path.join(FOLDER, f"{SERVICE}-{pid}.jsonl")
        file = _files[pid] = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    row = {
        "id": call + "/s" if kind == "server" else call,
        "parent": parent,
        "kind": kind,
        "call": call,
        "service": SERVICE,
        "pid": pid,
        "method": "GET",
        "path": path,
        "status": status,
        "start_ns": start,
        "end_ns": now(),
    }
    os.write(file, (json.dumps(row) + "\n").encode())
