"""A service in a mesh: mesh.py PORT NEXT_PORT.

It answers /ID by what the next service says of /ID, and hands on the headers that meshes ask applications to hand on
(Istio, Linkerd), and nothing else: no tracing library.
"""

import http.client
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HANDED_ON = ("traceparent", "tracestate", "x-request-id")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        upstream = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
        headers = {name: self.headers[name] for name in HANDED_ON if name in self.headers}
        upstream.request("GET", self.path, headers=headers)
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        self.send_response(answer.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True
    request_queue_size = 128


Server(("::", int(sys.argv[1])), Handler).serve_forever()
