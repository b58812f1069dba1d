"""FastAPI under uvicorn, calling with httpx: fastapi_app.py asyncio|uvloop."""

import os
import sys
from contextlib import asynccontextmanager

import httpx
import uvicorn
from fastapi import FastAPI, Request, Response

import asynchronous
import truth

clients = {}


async def client(address, path, headers):
    chosen = clients["leaf" if address == truth.LEAF else "others"]
    try:
        answer = await chosen.get(address + path, headers=headers)
    except httpx.TransportError as error:
        raise OSError from error
    return answer.status_code


@asynccontextmanager
async def lifespan(_):
    # Towards the leaf callers queue for a connection; towards others more are opened than are kept.
    leaf = httpx.Limits(max_connections=truth.POOL, max_keepalive_connections=truth.POOL)
    others = httpx.Limits(max_connections=None, max_keepalive_connections=truth.POOL)
    for name, limits in [("leaf", leaf), ("others", others)]:
        clients[name] = httpx.AsyncClient(limits=limits, timeout=120, trust_env=False)
    yield


app = FastAPI(lifespan=lifespan)


@app.get("/t/{text}")
async def handle(text: str, request: Request):
    status = await asynchronous.perform(client, text, request.headers[truth.HEADER])
    return Response("done", status_code=status)


if __name__ == "__main__":
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        loop=sys.argv[1],
        backlog=2048,
        timeout_keep_alive=120,
        access_log=False,
        log_level="warning",
    )
