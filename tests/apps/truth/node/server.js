// The ledger's Node program: Express on the event loop. First argument: node:http, fetch, axios or undici makes the calls.
// Second: `cluster` answers in two processes, `threads` makes the calls in two worker threads.
'use strict';

const cluster = require('node:cluster');
const crypto = require('node:crypto');
const dns = require('node:dns');
const fs = require('node:fs');
const http = require('node:http');
const timers = require('node:timers/promises');
const { Worker, isMainThread, parentPort } = require('node:worker_threads');
const axios = require('axios');
const express = require('express');
const undici = require('undici');

const { HEADER, call: recorded, now, peers, pool, read, write } = require('./truth.js');

const { PORT, HABIT } = process.env;

// Towards the leaf callers queue for a connection; towards others more are opened than are kept.
const agents = peers.map((_, target) => {
  const most = target === peers.length - 1 ? { maxSockets: pool } : {};
  return new http.Agent({ keepAlive: true, maxFreeSockets: pool, ...most });
});

// undici's pool keeps callers in a list of its own.
const pools = peers.map((peer, target) => {
  const most = target === peers.length - 1 ? { connections: pool } : {};
  return new undici.Pool(peer, { ...most, pipelining: 1 });
});

// Few connections, of node:http and of undici.
const FEW = 4;
const fewAgents = peers.map(() => new http.Agent({ keepAlive: true, maxSockets: FEW }));
const fewPools = peers.map((peer) => new undici.Pool(peer, { connections: FEW, pipelining: 1 }));

const get = (agent, url, headers) =>
  new Promise((resolve, reject) => {
    const request = http.get(url, { agent, headers }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
      response.on('error', reject);
    });
    request.on('error', reject);
  });

const ask = async (pool, url, headers) => {
  const response = await pool.request({ path: new URL(url).pathname, method: 'GET', headers });
  await response.body.text();
  return response.statusCode;
};

const clients = {
  http: (target, url, headers) => get(agents[target], url, headers),
  fetch: async (_target, url, headers) => {
    const response = await fetch(url, { headers });
    await response.text();
    return response.status;
  },
  undici: (target, url, headers) => ask(pools[target], url, headers),
  axios: async (target, url, headers) => {
    const response = await axios.get(url, { httpAgent: agents[target], headers, validateStatus: () => true });
    return response.status;
  },
};
const [, , library, mode] = process.argv;
const client = clients[library];

const call = (inbound, number, plan, own, by = client) => recorded(by, inbound, number, plan, own);

// Background work asks the leaf for this, and rests when no request has come for a while.
const PLAN = `${peers.length - 1}s020`;
const REST = 300;
let asked = 0;
let polls = 0;
let poller;

function arm() {
  asked = Date.now();
  poller ||= setInterval(() => {
    if (Date.now() > asked + REST) {
      clearInterval(poller);
      poller = undefined;
      return;
    }
    polls += 1;
    call(null, 0, PLAN, `poll-${process.pid}-${polls}`);
  }, 5);
}

// Ways to wait: each leaves the event loop, and comes back to it, in another way.
const WAITS = [
  (delay) => timers.setTimeout(delay),
  (delay) => new Promise((resolve) => setTimeout(resolve, delay)),
  (delay) => new Promise((resolve) => setTimeout(() => setTimeout(resolve, delay / 2), delay / 2)),
  () => fs.promises.readFile(__filename),
  () => new Promise((resolve) => fs.readFile(__filename, resolve)),
  () => dns.promises.lookup('localhost'),
  () => new Promise((resolve) => dns.lookup('localhost', resolve)),
  () => new Promise((resolve) => crypto.pbkdf2('a', 'b', 1000, 32, 'sha256', resolve)),
  () => timers.setImmediate(),
  () => new Promise((resolve) => setImmediate(() => process.nextTick(resolve))),
  async (delay) => {
    await timers.setTimeout(delay / 2);
    await timers.setImmediate();
    await fs.promises.stat(__filename);
  },
];
let waits = 0;

async function wait(delay) {
  if (HABIT !== 'waits') return timers.setTimeout(delay);
  waits += 1;
  await WAITS[waits % WAITS.length](delay);
}

// One at a time, in the order of asking: a lock made of promises.
let last = Promise.resolve();

function locked(inbound, number, plan) {
  const mine = last.then(() => call(inbound, number, plan));
  last = mine;
  return mine;
}

// So many at once, the others in a list: what p-limit does without AsyncResource.
function limit(most, work) {
  const waiting = [];
  let running = 0;
  const next = () => {
    running -= 1;
    if (waiting.length > 0) waiting.shift()();
  };
  return (...plan) =>
    new Promise((resolve) => {
      const run = () => {
        running += 1;
        work(...plan).then(resolve).then(next);
      };
      if (running < most) run();
      else waiting.push(run);
    });
}
const queued = limit(3, call);

// Worker threads make the calls; the main thread only asks them to.
const asking = new Map();
const workers = [];

function elsewhere(inbound, number, plan) {
  if (workers.length === 0) {
    for (let n = 0; n < 2; n += 1) {
      const worker = new Worker(__filename, { argv: process.argv.slice(2) });
      worker.on('message', (id) => {
        asking.get(id)();
        asking.delete(id);
      });
      workers.push(worker);
    }
  }
  const id = `${inbound}.${number}`;
  return new Promise((resolve) => {
    asking.set(id, resolve);
    workers[number % workers.length].postMessage({ id, inbound, number, plan });
  });
}

// The habit `mix`: each request waits and calls in one of these ways, chosen at random. The last three are lists of user code.
const by = (client) => (inbound, number, plan) => call(inbound, number, plan, undefined, client);
const named = (url) => url.replace('127.0.0.1', 'localhost');
const MIX = [
  { make: call },
  { make: call, isParallel: true },
  { make: call, wait: WAITS[0] },
  { make: call, wait: WAITS[2] },
  { make: call, wait: (delay) => WAITS[delay % 2 ? 3 : 4](delay) },
  { make: call, wait: WAITS[7] },
  { make: call, wait: WAITS[9] },
  { make: by((target, url, headers) => get(agents[target], named(url), headers)) },
  { make: by((target, url, headers) => get(fewAgents[target], url, headers)) },
  { make: by((target, url, headers) => ask(fewPools[target], url, headers)) },
  { make: queued },
  { make: locked },
];

// The habit `lists`: each call is made in one of these ways, chosen at random.
const slowly = (before, after) => async (...plan) => {
  if (before) await before(1);
  await call(...plan);
  if (after) await after(1);
};
const LISTS = [
  call,
  queued,
  locked,
  by((target, url, headers) => ask(fewPools[target], url, headers)),
  by((target, url, headers) => get(fewAgents[target], url, headers)),
  slowly(WAITS[0]),
  limit(2, by((target, url, headers) => ask(pools[target], url, headers))),
  limit(2, slowly(WAITS[0])),
  limit(2, slowly(WAITS[3], WAITS[9])),
  limit(1, slowly(WAITS[9])),
];
const listed = (...plan) => LISTS[crypto.randomInt(LISTS.length)](...plan);

async function mixed(inbound, plans) {
  const { make, wait, isParallel } = MIX[crypto.randomInt(MIX.length)];
  if (isParallel) {
    await Promise.all(plans.slice(1).map((plan, n) => make(inbound, n + 1, plan)));
    plans = plans.slice(0, 1);
  }
  for (const [n, plan] of plans.entries()) {
    if (wait) await wait(1 + n);
    await make(inbound, n, plan);
  }
}

function choose() {
  if (mode === 'threads') return elsewhere;
  return { queue: queued, mutex: locked, lists: listed }[HABIT] || call;
}
const make = choose();

const app = express();
app.disable('x-powered-by');
app.disable('etag');

app.get('/t/:text', async (request, response) => {
  const start = now();
  const inbound = request.get(HEADER);
  const { late, parallel, delay, status, plans } = read(request.params.text);
  if (delay && !late) await wait(delay);
  if (HABIT === 'poll') arm();
  if (HABIT === 'mix') {
    await mixed(inbound, plans);
  } else if (parallel) {
    await Promise.all(plans.map((plan, n) => make(inbound, n, plan)));
  } else {
    for (const [n, plan] of plans.entries()) {
      if (n > 0 && HABIT === 'waits') await wait(2);
      await make(inbound, n, plan);
    }
  }
  if (delay && late) await wait(delay);
  write('server', inbound, inbound, request.path, status, start);
  response.status(status).send('done');
  if (HABIT === 'after') setTimeout(() => call(inbound, 'z', PLAN), 5);
});

if (!isMainThread) {
  parentPort.on('message', async ({ id, inbound, number, plan }) => {
    await call(inbound, number, plan);
    parentPort.postMessage(id);
  });
} else if (mode === 'cluster' && cluster.isPrimary) {
  cluster.fork();
  cluster.fork();
} else {
  http.createServer(app).listen({ port: Number(PORT), host: '127.0.0.1', backlog: 2048 });
}
