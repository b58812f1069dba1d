// Node's own http2.
const http2 = require('http2');

function serve(port, until) {
  const server = http2.createServer();
  server.on('stream', async (stream, headers) => {
    stream.on('error', () => {});
    const path = headers[':path'];
    if (path === '/down') {
      stream.respond({ ':status': 200 });
      const begun = performance.now();
      for (let n = 1; n <= 20; n += 1) {
        await until(begun, n, 10);
        stream.write(Buffer.alloc(100));
      }
      stream.end();
    } else if (path === '/up') {
      let sum = 0;
      stream.on('data', (data) => { sum += data.length; });
      stream.on('end', () => { stream.respond({ ':status': 200 }); stream.end(String(sum)); });
    } else if (path === '/both') {
      stream.respond({ ':status': 200 });
      stream.on('data', (data) => stream.write(data));
      stream.on('end', () => stream.end());
    } else {
      await until(performance.now(), 1, path === '/slow' ? 2000 : Number(headers['x-wait'] ?? 0));
      if (stream.destroyed) return;
      stream.respond({ ':status': path === '/fail' ? 404 : 200 });
      stream.end('ok');
    }
  });
  server.listen(port, '127.0.0.1');
}

function ask(session, ledger, id, method, path, send, wait) {
  return ledger(id, `${method} ${path}`, () => new Promise((done) => {
    const fields = { ':method': method, ':path': path, 'x-call': id };
    if (wait !== undefined) fields['x-wait'] = String(wait);
    const stream = session.request(fields, { endStream: method === 'GET' });
    let status = '';
    stream.on('response', (headers) => { status = headers[':status']; });
    stream.on('data', () => {});
    stream.on('error', () => {});
    stream.on('close', () => done(status));
    send(stream);
  }));
}

async function call(port, name, ledger, until) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const get = (kind, path, send = () => {}) => ask(session, ledger, `${name}-${kind}`, 'GET', path, send);
  const post = (kind, path, parts, size, ms) => ask(session, ledger, `${name}-${kind}`, 'POST', path, async (stream) => {
    const begun = performance.now();
    for (let n = 1; n <= parts; n += 1) {
      await until(begun, n, ms);
      stream.write(Buffer.alloc(size));
    }
    stream.end();
  });
  await get('warm1', '/get');
  await post('warm2', '/both', 2, 10, 0);
  await Promise.all([
    get('unary', '/get'),
    get('fail', '/fail'),
    get('down', '/down'),
    post('up', '/up', 50, 1000, 5),
    post('both', '/both', 100, 1000, 50),
    get('cancelled', '/slow', (stream) => setTimeout(() => stream.close(http2.constants.NGHTTP2_CANCEL), 100)),
  ]);
  session.close();
}

async function busy(port, load, ledger) {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  await load((id, method, wait) => ask(session, ledger, id, 'GET', `/${method}`, () => {}, wait));
  session.close();
}

module.exports = { serve, call, busy };
