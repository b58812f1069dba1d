"""grpc-python without TLS: `calls.py serve PORT`, or `calls.py call PORT`, which writes `method status milliseconds` of each call."""
import sys
import time
from concurrent import futures

import grpc


def same(data):
    return data


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
        if method not in handlers:
            return None
        return handlers[method](getattr(self, method.lower()), same, same)

    def unary(self, request, context):
        if request == b"fail":
            context.abort(grpc.StatusCode.NOT_FOUND, "no")
        return request

    def slow(self, request, context):
        time.sleep(2)
        return request

    def down(self, request, context):
        for _ in range(20):
            time.sleep(0.01)
            yield b"x" * 100

    def up(self, requests, context):
        return str(sum(len(request) for request in requests)).encode()

    def both(self, requests, context):
        yield from requests


def some(count, pause):
    for _ in range(count):
        time.sleep(pause)
        yield b"y" * 1000


def call(port):
    channel = grpc.insecure_channel(f"127.0.0.1:{port}")

    def timed(method, ask):
        began = time.monotonic()
        status = "OK"
        try:
            ask()
        except grpc.FutureCancelledError:
            status = "CANCELLED"
        except grpc.RpcError as error:
            status = error.code().name
        print(method, status, round((time.monotonic() - began) * 1000), flush=True)

    def cancelled():
        future = channel.unary_unary("/t.Calls/Slow", same, same).future(b"a")
        time.sleep(0.1)
        future.cancel()
        future.result()

    unary = channel.unary_unary("/t.Calls/Unary", same, same)
    timed("Unary", lambda: unary(b"a"))
    timed("Unary", lambda: unary(b"fail"))
    timed("Slow", lambda: channel.unary_unary("/t.Calls/Slow", same, same)(b"a", timeout=0.3))
    timed("Slow", cancelled)
    timed("Down", lambda: list(channel.unary_stream("/t.Calls/Down", same, same)(b"a")))
    timed("Up", lambda: channel.stream_unary("/t.Calls/Up", same, same)(some(50, 0.005)))
    timed("Both", lambda: list(channel.stream_stream("/t.Calls/Both", same, same)(some(100, 0.05))))
    timed("None", lambda: channel.unary_unary("/t.Calls/None", same, same)(b"a"))
    channel.close()


if sys.argv[1] == "serve":
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Service(),))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[2]}")
    server.start()
    server.wait_for_termination()
else:
    call(sys.argv[2])
