"""The shop's catalogue: Flask under gunicorn, one thread per request, calling inventory with requests."""

import os
import threading
import time

import requests
from flask import Flask, jsonify

INVENTORY_URL = os.environ.get("INVENTORY_URL")

# Number: name, price in cents, weight in grams.
PRODUCTS = {
    1: ("mug", 890, 350),
    2: ("tea pot", 2450, 900),
    3: ("tea towel", 690, 80),
    4: ("samovar", 18900, 5200),
}

app = Flask(__name__)
local = threading.local()


def session() -> requests.Session:
    """One session, and so one pool of connections, per thread: a Session is not made to be shared."""
    if not hasattr(local, "session"):
        local.session = requests.Session()
    return local.session


def shown(number: int) -> dict:
    name, price, weight = PRODUCTS[number]
    return {"product": number, "name": name, "price": price, "weight": weight}


@app.errorhandler(404)
def unknown(_error):
    return jsonify(error="no such product"), 404


@app.get("/healthz")
def healthz():
    return jsonify(ok=True)


@app.get("/products/all/<int:cart>")
def catalogue(cart: int):
    return jsonify(cart=cart, products=[shown(number) for number in PRODUCTS])


@app.get("/products/<int:product>/<int:cart>")
def details(product: int, cart: int):
    if product not in PRODUCTS:
        return jsonify(error=f"no product {product}"), 404
    answer = shown(product)
    if INVENTORY_URL:
        stock = session().get(f"{INVENTORY_URL}/inventory/{product}/{cart}", timeout=10)
        answer["stock"] = stock.json().get("stock")
    return jsonify(cart=cart, **answer)


@app.get("/prices/<int:product>/<int:cart>")
def price(product: int, cart: int):
    if product not in PRODUCTS:
        return jsonify(error=f"no product {product}"), 404
    return jsonify(cart=cart, price=PRODUCTS[product][1])


@app.get("/weights/<int:product>/<int:cart>")
def weight(product: int, cart: int):
    if product not in PRODUCTS:
        return jsonify(error=f"no product {product}"), 404
    return jsonify(cart=cart, weight=PRODUCTS[product][2])


@app.get("/costs/<int:product>/<int:cart>")
def cost(product: int, cart: int):
    if product not in PRODUCTS:
        return jsonify(error=f"no product {product}"), 404
    return jsonify(cart=cart, cost=PRODUCTS[product][1] // 2)


@app.get("/search/<int:cart>")
def search(cart: int):
    """The slow one: there is no index."""
    time.sleep(0.08)
    return jsonify(cart=cart, products=[shown(number) for number in PRODUCTS])


@app.get("/recommendations/<int:cart>")
def recommendations(cart: int):
    """The flaky one: every third cart has met nobody who bought the same."""
    neighbour = cart % len(PRODUCTS) + 1
    affinity = 100 // (cart % 3)
    return jsonify(cart=cart, affinity=affinity, products=[shown(neighbour)])
