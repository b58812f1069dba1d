"""Flask with requests: under its own threaded server, or under gunicorn.

Calls that a plan wants at once are made by an executor that all requests share.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import requests
from flask import Flask, Response, request
from requests.adapters import HTTPAdapter
from werkzeug.serving import BaseWSGIServer

import truth

app = Flask(__name__)
executor = ThreadPoolExecutor(3 if truth.HABIT == "queue" else 8)
polling = threading.Lock()
asked = [0.0]
session = requests.Session()
session.trust_env = False
# Towards the leaf callers queue for a connection; towards others more are opened, and closed again.
session.mount("http://", HTTPAdapter(pool_maxsize=truth.POOL))
session.mount(truth.LEAF, HTTPAdapter(pool_maxsize=truth.POOL, pool_block=True))


def fetch(number, address, path, inbound, call=None):
    call = call or f"{inbound}.{number}"
    start, status = truth.now(), 0
    try:
        answer = session.get(address + path, headers={truth.HEADER: call}, timeout=120)
        status = answer.status_code
    except requests.RequestException:
        pass
    truth.write("client", call, inbound and inbound + "/s", path, status, start)


def poll():
    """Asks the leaf on nobody's behalf as long as requests come."""
    first = time.time_ns()
    while time.monotonic() < asked[0] + truth.REST:
        fetch(0, *truth.PLAN, None, f"poll-{os.getpid()}-{first}-{time.time_ns()}")
        time.sleep(0.004)
    polling.release()


@app.get("/t/<text>")
def handle(text):
    start, call = truth.now(), request.headers[truth.HEADER]
    plan = truth.Plan(text)
    if plan.delay and not plan.late:
        time.sleep(plan.delay)
    if truth.HABIT == "poll":
        asked[0] = time.monotonic()
        if polling.acquire(blocking=False):
            threading.Thread(target=poll, daemon=True).start()
    if plan.parallel or truth.HABIT == "queue":
        futures = [executor.submit(fetch, n, *to, call) for n, to in enumerate(plan.calls)]
        for future in futures:
            future.result()
    else:
        for n, to in enumerate(plan.calls):
            fetch(n, *to, call)
    if plan.delay and plan.late:
        time.sleep(plan.delay)
    truth.write("server", call, call, "/t/" + text, plan.status, start)
    response = Response("done", plan.status)
    if truth.HABIT == "after":
        response.call_on_close(lambda: fetch("z", *truth.PLAN, call))
    return response


if __name__ == "__main__":
    import logging

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    # Each of its calls is a connection; 512 at once may come as one burst.
    BaseWSGIServer.request_queue_size = 2048
    app.run("127.0.0.1", int(os.environ["PORT"]), threaded=True)
