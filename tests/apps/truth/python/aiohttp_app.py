"""aiohttp's server, calling with its client: aiohttp_app.py asyncio|uvloop."""

import asyncio
import os
import sys

import aiohttp
import uvloop
from aiohttp import web

import asynchronous
import truth

sessions = {}


async def client(address, path, headers):
    chosen = sessions["leaf" if address == truth.LEAF else "others"]
    try:
        async with chosen.get(address + path, headers=headers) as answer:
            await answer.read()
            return answer.status
    except aiohttp.ClientError as error:
        raise OSError from error


async def handle(request):
    text = request.match_info["text"]
    status = await asynchronous.perform(client, text, request.headers[truth.HEADER])
    return web.Response(text="done", status=status)


async def start(_):
    # Towards the leaf callers queue for a connection; towards others there is no bound.
    for name, most in [("leaf", truth.POOL), ("others", 0)]:
        sessions[name] = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=most))


app = web.Application()
app.router.add_get("/t/{text}", handle)
app.on_startup.append(start)
loop = uvloop.new_event_loop() if sys.argv[1] == "uvloop" else asyncio.new_event_loop()
web.run_app(
    app,
    host="127.0.0.1",
    port=int(os.environ["PORT"]),
    backlog=2048,
    keepalive_timeout=120,
    access_log=None,
    print=None,
    loop=loop,
)
