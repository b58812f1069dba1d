"""An asyncio service of nothing but the standard library: contexts.py PORT BACK|0 task|connection.

GET /front/WAY/ID makes calls of /back/WAY/ID in the way that its name says; every call's path tells for which request it is made.
A task per request answers, or the one that serves the connection.
"""

import asyncio
import http.client
import sys

port, back, answers = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
pool, tasks, state = [], set(), {"queue": None, "poller": None}


async def call(path):
    reader, writer = pool.pop() if pool else await asyncio.open_connection("127.0.0.1", back)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: back\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 "), head
    await reader.readexactly(2)
    pool.append((reader, writer))


def call_in_thread(path):
    connection = http.client.HTTPConnection("127.0.0.1", back)
    connection.request("GET", path)
    connection.getresponse().read()
    connection.close()


def begin(work):
    task = asyncio.ensure_future(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)
    return task


async def later(path):
    await asyncio.sleep(0.01)
    await call(path)


async def work(queue):
    while True:
        path, done = await queue.get()
        await call(path)
        done.set_result(None)


async def handed(path):
    """To one of three workers that the first request starts."""
    if state["queue"] is None:
        state["queue"] = asyncio.Queue()
        for _ in range(3):
            begin(work(state["queue"]))
    done = asyncio.get_running_loop().create_future()
    state["queue"].put_nowait((path, done))
    await done


async def poll():
    for n in range(60):
        await call(f"/back/poll/{n}")
        await asyncio.sleep(0.01)
    state["poller"] = None


async def nested(path):
    await asyncio.wait_for(asyncio.ensure_future(call(path)), 60)


async def perform(way, path):
    if way == "seq":
        await call(path)
        await call(path)
    elif way == "par":
        await asyncio.gather(call(path), call(path))
    elif way == "nested":
        await asyncio.gather(nested(path), nested(path))
    elif way == "thread":
        await asyncio.to_thread(call_in_thread, path)
    elif way == "executor":
        await asyncio.get_running_loop().run_in_executor(None, call_in_thread, path)
    elif way == "left":
        begin(later(path))
    elif way == "handed":
        await handed(path)
    elif way == "armed":
        state["poller"] = state["poller"] or begin(poll())


async def inner(way, path, begun, ended):
    """An application behind a middleware: it hands its answer on, and works a little longer."""
    await perform(way, path)
    begun.set_result(None)
    await ended


async def respond(way, path, writer):
    loop = asyncio.get_running_loop()
    if way == "middle":
        begun, ended = loop.create_future(), loop.create_future()
        task = begin(inner("seq", path, begun, ended))
        await begun
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        ended.set_result(None)
        await task
        return
    await perform(way, path)
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


async def serve(reader, writer):
    # Until 3.11 asyncio keeps no reference of its own to this task: a collection could end it, and all that waits for it (gh-90467).
    tasks.add(asyncio.current_task())
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            path = head.split(b" ")[1].decode()
            _, service, way, request = path.split("/")
            work = respond(way if service == "front" else "", f"/back/{way}/{request}", writer)
            await (work if answers == "connection" else asyncio.ensure_future(work))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()
    finally:
        tasks.discard(asyncio.current_task())


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())
