// A Node.js service: timers.js PORT BACK. It answers GET /front/WAY/ID after calls of /back/WAY/ID: one after a timer, one after an
// immediate, over connections that are kept.
'use strict';
const http = require('http');
const { setImmediate, setTimeout } = require('timers/promises');

const [port, back] = process.argv.slice(2).map(Number);
const agent = new http.Agent({ keepAlive: true });

const call = (path) =>
  new Promise((resolve, reject) => {
    const request = http.get({ port: back, host: '127.0.0.1', path, agent }, (response) => {
      response.resume().on('end', resolve);
    });
    request.on('error', reject);
  });

const server = http.createServer(async (request, response) => {
  const path = request.url.replace('/front/', '/back/');
  await setTimeout(1);
  await call(path);
  await setImmediate();
  await call(path);
  response.setHeader('Content-Length', 2);
  response.end('ok');
});
server.keepAliveTimeout = 60_000;
server.listen(port, '::');
