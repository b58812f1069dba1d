// The shop's front: what a browser would talk to. Express on Node's event loop, axios with a keep-alive agent.
// Every path ends in the cart's number, and the cart's number goes on into the paths of the calls it causes:
// ordinary application data, by which the demo knows which request caused which. No header is forwarded.
'use strict';

const http = require('node:http');
const axios = require('axios');
const express = require('express');

const port = Number(process.env.PORT || 8080);
const addresses = {
  product: process.env.PRODUCT_URL,
  order: process.env.ORDER_URL,
  inventory: process.env.INVENTORY_URL,
};
const agent = new http.Agent({ keepAlive: true, maxSockets: 64 });
const client = axios.create({ httpAgent: agent, timeout: 10_000, validateStatus: () => true });

// One call to another service. A service that is not there is named; one that fails makes this answer a 502.
async function call(service, method, path, data) {
  const address = addresses[service];
  if (!address) throw failure(503, `service ${service} is missing`);
  let answer;
  try {
    answer = await client.request({ method, url: address + path, data });
  } catch (error) {
    throw failure(503, `service ${service} does not answer: ${error.code || error.message}`);
  }
  if (answer.status >= 500) throw failure(502, `service ${service} failed with ${answer.status}`);
  if (answer.status >= 400) throw failure(answer.status, answer.data.error);
  return answer.data;
}

function failure(status, message) {
  return Object.assign(new Error(message), { status });
}

const app = express();
app.disable('x-powered-by');
app.use(express.json());

app.get('/healthz', (_request, response) => response.json({ ok: true }));

app.get('/catalogue/:cart', async (request, response) => {
  response.json(await call('product', 'GET', `/products/all/${request.params.cart}`));
});

app.get('/details/:product/:cart', async (request, response) => {
  const { product, cart } = request.params;
  response.json(await call('product', 'GET', `/products/${product}/${cart}`));
});

app.get('/search/:cart', async (request, response) => {
  response.json(await call('product', 'GET', `/search/${request.params.cart}`));
});

app.get('/recommendations/:cart', async (request, response) => {
  response.json(await call('product', 'GET', `/recommendations/${request.params.cart}`));
});

app.post('/restock/:product/:cart', async (request, response) => {
  const { product, cart } = request.params;
  response.json(await call('inventory', 'POST', `/restock/${product}/${cart}`, request.body));
});

app.post('/checkout/:cart', async (request, response) => {
  const { cart } = request.params;
  const { product, quantity } = request.body;
  const { price } = await call('product', 'GET', `/prices/${product}/${cart}`);
  const order = await call('order', 'POST', `/orders/${cart}`, { product, quantity, price });
  response.status(201).json(order);
});

app.use((error, _request, response, _next) => {
  response.status(error.status || 500).json({ error: error.message });
});

app.listen(port, process.env.LISTEN || '127.0.0.1', () => console.log(`frontend listens on ${port}`));
