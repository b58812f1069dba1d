"""A thread-per-request service: threads.py PORT [BACK_PORT].

/front/ID calls /back/ID of the other service twice with the ordinary http.client, passing the id on as data, as
applications do, and no header. So a test knows which requests belong together without being told by a trace.
"""

import http.client
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path
        if path.startswith("/front/"):
            for _ in range(2):
                back = http.client.HTTPConnection("127.0.0.1", int(sys.argv[2]))
                back.request("GET", path.replace("/front/", "/back/"))
                back.getresponse().read()
                back.close()
        body = path.encode()
        self.send_response(200)
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
