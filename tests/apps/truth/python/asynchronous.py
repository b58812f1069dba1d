"""What the asyncio programs of the ledger share: doing what a plan says with any client.

A client is a coroutine function (address, path, headers) -> status; it raises OSError when there is no answer.
"""

import asyncio
import os
import time

import requests
from requests.adapters import HTTPAdapter

import truth

session = requests.Session()
session.trust_env = False
session.mount("http://", HTTPAdapter(pool_maxsize=truth.POOL))
session.mount(truth.LEAF, HTTPAdapter(pool_maxsize=truth.POOL, pool_block=True))
state = {"asked": 0.0, "poller": None, "queue": None, "tasks": set()}


async def fetch(client, number, to, inbound, call=None):
    address, path = to
    call = call or f"{inbound}.{number}"
    start, status = truth.now(), 0
    try:
        status = await client(address, path, {truth.HEADER: call})
    except OSError:
        pass
    truth.write("client", call, inbound and inbound + "/s", path, status, start)


def begin(work):
    """A task that nobody awaits, kept from being collected."""
    task = asyncio.ensure_future(work)
    state["tasks"].add(task)
    task.add_done_callback(state["tasks"].discard)
    return task


async def poll(client):
    """Asks the leaf on nobody's behalf as long as requests come."""
    while time.monotonic() < state["asked"] + truth.REST:
        await fetch(client, 0, truth.PLAN, None, f"poll-{os.getpid()}-{time.time_ns()}")
        await asyncio.sleep(0.004)
    state["poller"] = None


async def after(client, call):
    await asyncio.sleep(0.005)
    await fetch(client, "z", truth.PLAN, call)


async def work(queue):
    while True:
        make, done = await queue.get()
        done.set_result(await make())


async def queued(client, number, to, call):
    """One of three workers makes the call; the first request starts them."""
    if state["queue"] is None:
        state["queue"] = asyncio.Queue()
        for _ in range(3):
            begin(work(state["queue"]))
    done = asyncio.get_running_loop().create_future()
    state["queue"].put_nowait((lambda: fetch(client, number, to, call), done))
    await done


def ask(address, path, headers):
    try:
        return session.get(address + path, headers=headers, timeout=120).status_code
    except requests.RequestException as error:
        raise OSError from error


async def in_thread(address, path, headers):
    """A thread of the loop's pool makes the call."""
    return await asyncio.get_running_loop().run_in_executor(None, ask, address, path, headers)


async def perform(client, text, call):
    """Gives the status to answer with."""
    start, plan = truth.now(), truth.Plan(text)
    if plan.delay and not plan.late:
        await asyncio.sleep(plan.delay)
    if truth.HABIT == "poll":
        state["asked"] = time.monotonic()
        state["poller"] = state["poller"] or begin(poll(client))
    if truth.HABIT == "executor":
        client = in_thread
    make = queued if truth.HABIT == "queue" else fetch
    calls = [make(client, n, to, call) for n, to in enumerate(plan.calls)]
    if plan.parallel:
        await asyncio.gather(*calls)
    else:
        for one in calls:
            await one
    if plan.delay and plan.late:
        await asyncio.sleep(plan.delay)
    truth.write("server", call, call, "/t/" + text, plan.status, start)
    if truth.HABIT == "after":
        begin(after(client, call))
    return plan.status
