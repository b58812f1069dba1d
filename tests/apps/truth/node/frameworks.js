// Servers, clients and promises that nobody looked at while the rules for Node were made. First argument: which.
'use strict';

const http = require('node:http');
const timers = require('node:timers/promises');
const { HEADER, call, now, peers, pool, read, write } = require('./truth.js');

const port = Number(process.env.PORT);
const listening = { port, host: '127.0.0.1', backlog: 2048 };

// Towards the leaf callers queue for a connection; towards others more are opened than are kept.
const agents = peers.map((_, target) => {
  const most = target === peers.length - 1 ? { maxSockets: pool } : {};
  return new http.Agent({ keepAlive: true, maxFreeSockets: pool, ...most });
});

// Does what a plan says, and gives the status to answer with.
async function perform(client, text, inbound, make = call) {
  const start = now();
  const { late, parallel, delay, status, plans } = read(text);
  if (delay && !late) await timers.setTimeout(delay);
  if (parallel) {
    await Promise.all(plans.map((plan, n) => make(client, inbound, n, plan)));
  } else {
    for (const [n, plan] of plans.entries()) await make(client, inbound, n, plan);
  }
  if (delay && late) await timers.setTimeout(delay);
  write('server', inbound, inbound, `/t/${text}`, status, start);
  return status;
}

function express(handle) {
  const app = require('express')();
  app.get('/t/:text', handle);
  http.createServer(app).listen(listening);
}

function get(target, url, headers, done) {
  const request = http.get(url, { agent: agents[target], headers }, (response) => {
    response.resume();
    response.on('end', () => done(null, response.statusCode));
    response.on('error', done);
  });
  request.on('error', done);
}

// Fastify with undici's own dispatcher.
function fastify() {
  const undici = require('undici');
  const dispatcher = new undici.Agent({ connections: pool, pipelining: 1 });
  const others = new undici.Agent({ pipelining: 1 });
  const client = async (target, url, headers) => {
    const by = target === peers.length - 1 ? dispatcher : others;
    const { statusCode, body } = await undici.request(url, { headers, dispatcher: by });
    await body.dump();
    return statusCode;
  };
  const app = require('fastify')();
  app.get('/t/:text', async (request, reply) => {
    reply.code(await perform(client, request.params.text, request.headers[HEADER]));
    return 'done';
  });
  app.listen(listening);
}

// Koa with superagent.
function koa() {
  const superagent = require('superagent');
  const client = async (target, url, headers) => {
    const answer = await superagent.get(url).agent(agents[target]).set(headers).ok(() => true);
    return answer.status;
  };
  const app = new (require('koa'))();
  app.use(async (context) => {
    context.status = await perform(client, context.path.slice('/t/'.length), context.get(HEADER));
    context.body = 'done';
  });
  http.createServer(app.callback()).listen(listening);
}

// Promises that are not the engine's: their callbacks wait in a list of the library, which empties it for all at once.
function bluebird() {
  const Bluebird = require('bluebird');
  const client = Bluebird.promisify(get);
  express((request, response) => {
    const start = now();
    const inbound = request.get(HEADER);
    const { text } = request.params;
    const { late, parallel, delay, status, plans } = read(text);
    const make = (plan, n) => {
      const id = `${inbound}.${n}`;
      const [target, path, begun] = [Number(plan[0]), `/t/${plan}`, now()];
      return client(target, peers[target] + path, { [HEADER]: id })
        .catchReturn(0)
        .then((got) => write('client', id, `${inbound}/s`, path, got, begun));
    };
    const wait = (chosen) => (delay && chosen ? Bluebird.delay(delay) : Bluebird.resolve());
    wait(!late)
      .then(() => (parallel ? Bluebird.map(plans, make) : Bluebird.each(plans, make)))
      .then(() => wait(late))
      .then(() => {
        write('server', inbound, inbound, `/t/${text}`, status, start);
        response.status(status).send('done');
      });
  });
}

const plain = (target, url, headers) =>
  new Promise((resolve, reject) => {
    get(target, url, headers, (error, status) => (error ? reject(error) : resolve(status)));
  });

// Calls of all requests wait in lists: of `async`, and of a stream of rxjs.
function lists() {
  const { mergeMap, Subject } = require('rxjs');
  const queue = require('async').queue((task, done) => task().then(() => done()), 3);
  const stream = new Subject();
  stream.pipe(mergeMap((task) => task(), 3)).subscribe();
  const ways = [
    (task) => queue.push(task),
    (task) => stream.next(task),
    (task) => setImmediate(task),
    (task) => process.nextTick(task),
  ];
  let made = 0;
  const make = (...what) =>
    new Promise((resolve) => {
      made += 1;
      ways[made % ways.length](() => call(...what).then(resolve));
    });
  express(async (request, response) => {
    const status = await perform(plain, request.params.text, request.get(HEADER), make);
    response.status(status).send('done');
  });
}

({ fastify, koa, bluebird, lists })[process.argv[2]]();
