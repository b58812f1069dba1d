"""One process, eight threads: a request is read, handled and answered by one thread."""

import os

bind = f"{os.environ.get('LISTEN', '127.0.0.1')}:{os.environ.get('PORT', '8081')}"
workers = 1
worker_class = "gthread"
threads = 8
keepalive = 75
control_socket_disable = True
