"""Tornado's server, calling with its own client: callers wait in a list, and a connection serves one call."""

import asyncio
import os

from tornado.httpclient import AsyncHTTPClient, HTTPError
from tornado.web import Application, RequestHandler

import asynchronous
import truth


async def client(address, path, headers):
    try:
        answer = await AsyncHTTPClient().fetch(
            address + path, headers=headers, raise_error=False, request_timeout=120, connect_timeout=120
        )
    except HTTPError as error:
        raise OSError from error
    # Its own statuses mean that there was none.
    if answer.code == 599:
        raise OSError
    return answer.code


class Handler(RequestHandler):
    async def get(self, text):
        self.set_status(await asynchronous.perform(client, text, self.request.headers[truth.HEADER]))
        self.write("done")

    def log_request(self):
        pass


async def main():
    AsyncHTTPClient.configure(None, max_clients=truth.POOL)
    app = Application([("/t/(.*)", Handler)], log_function=lambda handler: None)
    app.listen(int(os.environ["PORT"]), "127.0.0.1", backlog=2048)
    await asyncio.Event().wait()


asyncio.run(main())
