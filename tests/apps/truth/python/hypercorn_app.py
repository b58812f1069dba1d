"""Hypercorn, calling with httpx: Quart on asyncio, or Starlette on Trio: hypercorn_app.py asyncio|trio."""

import asyncio
import os
import sys

import httpx
import trio
from hypercorn.config import Config

import asynchronous
import truth

clients = {}


async def client(address, path, headers):
    if not clients:
        # Towards the leaf callers queue for a connection; towards others more are opened than are kept.
        leaf = httpx.Limits(max_connections=truth.POOL, max_keepalive_connections=truth.POOL)
        others = httpx.Limits(max_connections=None, max_keepalive_connections=truth.POOL)
        for name, limits in [("leaf", leaf), ("others", others)]:
            clients[name] = httpx.AsyncClient(limits=limits, timeout=120, trust_env=False)
    try:
        answer = await clients["leaf" if address == truth.LEAF else "others"].get(address + path, headers=headers)
    except httpx.TransportError as error:
        raise OSError from error
    return answer.status_code


def quart():
    from hypercorn.asyncio import serve
    from quart import Quart, request

    app = Quart("truth")

    @app.get("/t/<text>")
    async def handle(text):
        return "done", await asynchronous.perform(client, text, request.headers[truth.HEADER])

    asyncio.run(serve(app, config))


async def perform(text, call):
    """What asynchronous.perform does, with Trio."""
    start, plan = truth.now(), truth.Plan(text)
    if not plan.late:
        await trio.sleep(plan.delay)
    if plan.parallel:
        async with trio.open_nursery() as nursery:
            for n, to in enumerate(plan.calls):
                nursery.start_soon(asynchronous.fetch, client, n, to, call)
    else:
        for n, to in enumerate(plan.calls):
            await asynchronous.fetch(client, n, to, call)
    if plan.late:
        await trio.sleep(plan.delay)
    truth.write("server", call, call, "/t/" + text, plan.status, start)
    return plan.status


def starlette():
    from hypercorn.trio import serve
    from starlette.applications import Starlette
    from starlette.responses import Response
    from starlette.routing import Route

    async def handle(request):
        status = await perform(request.path_params["text"], request.headers[truth.HEADER])
        return Response("done", status)

    trio.run(serve, Starlette(routes=[Route("/t/{text}", handle)]), config)


config = Config()
config.bind = [f"127.0.0.1:{os.environ['PORT']}"]
config.backlog = 2048
config.keep_alive_timeout = 120
config.accesslog = None
{"asyncio": quart, "trio": starlette}[sys.argv[1]]()
