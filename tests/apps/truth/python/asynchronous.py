"""What the asyncio programs of the ledger share: doing what a plan says with any client.

A client is a coroutine function (address, path, headers) -> status; it raises OSError when there is no answer.
"""

import asyncio

import truth


async def fetch(client, number, to, inbound):
    address, path = to
    call = f"{inbound}.{number}"
    start, status = truth.now(), 0
    try:
        status = await client(address, path, {truth.HEADER: call})
    except OSError:
        pass
    truth.write("client", call, inbound + "/s", path, status, start)


async def perform(client, text, call):
    """Gives the status to answer with."""
    start, plan = truth.now(), truth.Plan(text)
    if plan.delay and not plan.late:
        await asyncio.sleep(plan.delay)
    calls = [fetch(client, n, to, call) for n, to in enumerate(plan.calls)]
    if plan.parallel:
        await asyncio.gather(*calls)
    else:
        for one in calls:
            await one
    if plan.delay and plan.late:
        await asyncio.sleep(plan.delay)
    truth.write("server", call, call, "/t/" + text, plan.status, start)
    return plan.status
