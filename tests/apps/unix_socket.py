"""One service on two doors: unix_socket.py PORT PATH answers on the TCP port and on the unix socket alike."""

import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


class UnixServer(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


class TcpServer(ThreadingHTTPServer):
    address_family = socket.AF_INET6


threading.Thread(target=UnixServer(sys.argv[2], Handler).serve_forever, daemon=True).start()
TcpServer(("::", int(sys.argv[1])), Handler).serve_forever()
