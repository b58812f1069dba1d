"""Django under waitress: one thread reads for all, others answer. Each calls with connections of its own."""

import http.client
import os
import threading
import time
from urllib.parse import urlsplit

import waitress
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

import truth

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], SECRET_KEY="none is kept")
own = threading.local()


def get(address, to, headers):
    kept = own.__dict__.setdefault("kept", {})
    if address not in kept:
        kept[address] = http.client.HTTPConnection(urlsplit(address).netloc, timeout=120)
    kept[address].request("GET", to, headers=headers)
    answer = kept[address].getresponse()
    answer.read()
    return answer.status


def fetch(number, address, to, inbound):
    call = f"{inbound}.{number}"
    start, status = truth.now(), 0
    try:
        status = get(address, to, {truth.HEADER: call})
    except (OSError, http.client.HTTPException):
        own.kept.pop(address, None)
    truth.write("client", call, inbound + "/s", to, status, start)


def handle(request, text):
    start, call = truth.now(), request.headers[truth.HEADER]
    plan = truth.Plan(text)
    if not plan.late:
        time.sleep(plan.delay)
    for n, to in enumerate(plan.calls):
        fetch(n, *to, call)
    if plan.late:
        time.sleep(plan.delay)
    truth.write("server", call, call, "/t/" + text, plan.status, start)
    return HttpResponse("done", status=plan.status)


urlpatterns = [path("t/<str:text>", handle)]
waitress.serve(
    get_wsgi_application(),
    host="127.0.0.1",
    port=int(os.environ["PORT"]),
    threads=16,
    backlog=2048,
    connection_limit=2000,
    channel_timeout=300,
    _quiet=True,
)
