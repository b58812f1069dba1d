"""A master that listens on PORT and hands every connection to its worker, a program of the same executable: handed.py PORT.

The worker runs before its master listens, and never listens itself. Every request is answered with its pid.
"""

import os
import socket
import subprocess
import sys


def serve(connection):
    with connection:
        while request := connection.recv(65536):
            assert request.startswith(b"GET "), request
            body = str(os.getpid()).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


def work(master):
    master.send(b"!")
    while True:
        _, handed, _, _ = socket.recv_fds(master, 1, 1)
        if not handed:
            return
        serve(socket.socket(fileno=handed[0]))


if sys.argv[1] == "worker":
    work(socket.socket(fileno=0))
else:
    ours, theirs = socket.socketpair()
    worker = subprocess.Popen([sys.executable, __file__, "worker"], stdin=theirs)
    theirs.close()
    assert ours.recv(1) == b"!"
    listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
    while True:
        connection, _ = listener.accept()
        socket.send_fds(ours, [b"c"], [connection.fileno()])
        connection.close()
