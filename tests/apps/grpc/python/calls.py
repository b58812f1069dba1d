"""Calls over HTTP/2 without TLS, with grpc-python: `calls.py serve PORT`, `calls.py call PORT NAME` or `calls.py busy PORT SECONDS`.
See ../README.md."""
import random
import sys
import threading
import time
from concurrent import futures

import grpc


def same(data):
    return data


def until(begun, pauses, pause):
    """For pauses between messages: waits until so many of them have passed since the beginning, so that none adds up."""
    time.sleep(max(0, begun + pauses * pause - time.monotonic()))


class Service(grpc.GenericRpcHandler):
    def service(self, details):
        method = details.method.rsplit("/", 1)[-1]
        handlers = {
            "Unary": grpc.unary_unary_rpc_method_handler,
            "Slow": grpc.unary_unary_rpc_method_handler,
            "Down": grpc.unary_stream_rpc_method_handler,
            "Up": grpc.stream_unary_rpc_method_handler,
            "Both": grpc.stream_stream_rpc_method_handler,
        }
        if method in handlers:
            return handlers[method](getattr(self, method.lower()), same, same)
        return grpc.unary_unary_rpc_method_handler(self.wait, same, same) if method.startswith("M") else None

    def unary(self, request, context):
        if request == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "no")
        return request

    def slow(self, request, context):
        time.sleep(2)
        return request

    def wait(self, request, context):
        time.sleep(int(request) / 1000)
        return request

    def down(self, request, context):
        begun = time.monotonic()
        for n in range(20):
            until(begun, n + 1, 0.01)
            yield b"x" * 100

    def up(self, requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def both(self, requests, context):
        yield from requests


def some(count, size, pause):
    begun = time.monotonic()
    for n in range(count):
        until(begun, n + 1, pause)
        yield b"y" * size


def ledger(name, method, ask):
    """Row by row on stdout."""
    start, began = time.time_ns(), time.monotonic_ns()
    status = 0
    try:
        ask(f"/t.Calls/{method}", (("x-call", name),))
    except grpc.FutureCancelledError:
        status = 1
    except grpc.RpcError as error:
        status = error.code().value[0]
    end = start + time.monotonic_ns() - began
    row = f'{{"id":"{name}","method":"/t.Calls/{method}","status":"{status}","start":{start},"end":{end}}}\n'
    sys.stdout.write(row)
    sys.stdout.flush()


def together(*work):
    with futures.ThreadPoolExecutor(len(work)) as pool:
        for done in [pool.submit(*one) for one in work]:
            done.result()


def call(channel, name):
    def unary(kind, method, message, timeout=None):
        def ask(path, metadata):
            channel.unary_unary(path, same, same)(message, timeout=timeout, metadata=metadata)
        ledger(f"{name}-{kind}", method, ask)

    def cancelled(kind):
        def ask(path, metadata):
            future = channel.unary_unary(path, same, same).future(b"a", metadata=metadata)
            threading.Timer(0.1, future.cancel).start()
            future.result()
        ledger(f"{name}-{kind}", "Slow", ask)

    def down(kind):
        def ask(path, metadata):
            list(channel.unary_stream(path, same, same)(b"a", metadata=metadata))
        ledger(f"{name}-{kind}", "Down", ask)

    def up(kind):
        def ask(path, metadata):
            channel.stream_unary(path, same, same)(some(50, 1000, 0.005), metadata=metadata)
        ledger(f"{name}-{kind}", "Up", ask)

    def both(kind, count, size, pause):
        def ask(path, metadata):
            list(channel.stream_stream(path, same, same)(some(count, size, pause), metadata=metadata))
        ledger(f"{name}-{kind}", "Both", ask)

    unary("warm1", "Unary", b"a")
    both("warm2", 2, 10, 0)
    together(
        (unary, "unary", "Unary", b"a"),
        (unary, "fail", "Unary", b"fail"),
        (unary, "none", "None", b"a"),
        (down, "down"),
        (up, "up"),
        (both, "both", 100, 1000, 0.05),
        (unary, "late", "Slow", b"a", 0.3),
        (cancelled, "cancelled"),
    )


def busy(channel, seconds):
    """Four calls at a time, of ever more methods."""
    begun = time.monotonic()

    def worker(w):
        n = 0
        while time.monotonic() - begun < seconds:
            methods = min(64, 8 + 8 * int(time.monotonic() - begun))
            wait = str(random.randrange(5, 30)).encode()
            ask = lambda path, metadata: channel.unary_unary(path, same, same)(wait, metadata=metadata)
            ledger(f"busy-{w}-{n}", f"M{random.randrange(methods)}", ask)
            n += 1

    together(*((worker, w) for w in range(4)))


job, port = sys.argv[1], sys.argv[2]
if job == "serve":
    server = grpc.server(futures.ThreadPoolExecutor(16))
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()
else:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        if job == "call":
            call(channel, sys.argv[3])
        else:
            busy(channel, float(sys.argv[3]))
