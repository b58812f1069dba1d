"""A Flask service that calls another with requests: app.py PORT [BACK_PORT].

It knows nothing of tracing; run by `opentelemetry-instrument` it has an SDK, as the OpenTelemetry Operator would give it one.
/front/ID calls /back/ID of the other service.
"""

import sys

import requests
from flask import Flask

app = Flask(__name__)


@app.get("/front/<number>")
def front(number):
    return requests.get(f"http://127.0.0.1:{sys.argv[2]}/back/{number}", timeout=10).text


@app.get("/back/<number>")
def back(number):
    return number


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
