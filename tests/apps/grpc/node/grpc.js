// @grpc/grpc-js; messages are buffers as they are.
const grpc = require('@grpc/grpc-js');
const same = (data) => data;

function serve(port, until) {
  const server = new grpc.Server();
  const add = (method, type, handler) => server.register(`/t.Calls/${method}`, handler, same, same, type);
  const wait = (ms) => (call, answer) => setTimeout(() => answer(null, call.request), ms ?? Number(call.request));
  add('Unary', 'unary', (call, answer) => {
    if (String(call.request) === 'fail') answer({ code: grpc.status.NOT_FOUND, details: 'no' });
    else answer(null, call.request);
  });
  add('Slow', 'unary', wait(2000));
  for (let n = 0; n < 64; n += 1) add(`M${n}`, 'unary', wait());
  add('Down', 'serverStream', async (call) => {
    const begun = performance.now();
    for (let n = 1; n <= 20; n += 1) {
      await until(begun, n, 10);
      call.write(Buffer.alloc(100));
    }
    call.end();
  });
  add('Up', 'clientStream', (call, answer) => {
    let sum = 0;
    call.on('data', (data) => { sum += data.length; });
    call.on('end', () => answer(null, Buffer.from(String(sum))));
  });
  add('Both', 'bidi', (call) => {
    call.on('data', (data) => call.write(data));
    call.on('end', () => call.end());
  });
  server.bindAsync(`127.0.0.1:${port}`, grpc.ServerCredentials.createInsecure(), (error) => { if (error) throw error; });
}

function connect(port) {
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure());
  const named = (id) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-call', id);
    return metadata;
  };
  const unary = (id, method, message, options = {}, after = () => {}) => new Promise((done) => {
    const path = `/t.Calls/${method}`;
    const call = client.makeUnaryRequest(path, same, same, Buffer.from(message), named(id), options,
      (error) => done(error ? error.code : 0));
    after(call);
  });
  return { client, named, unary };
}

async function call(port, name, ledger, until) {
  const { client, named, unary } = connect(port);
  const one = (kind, method, message, options, after) =>
    ledger(`${name}-${kind}`, `/t.Calls/${method}`, () => unary(`${name}-${kind}`, method, message, options, after));
  const stream = (kind, method, messages, size, ms) => {
    const id = `${name}-${kind}`;
    const path = `/t.Calls/${method}`;
    return ledger(id, path, () => new Promise((done) => {
      let open;
      if (method === 'Down') open = client.makeServerStreamRequest(path, same, same, Buffer.from('a'), named(id));
      else if (method === 'Up') open = client.makeClientStreamRequest(path, same, same, named(id), () => {});
      else open = client.makeBidiStreamRequest(path, same, same, named(id));
      open.on('data', () => {});
      open.on('error', () => {});
      open.on('status', (status) => done(status.code));
      const send = async () => {
        const begun = performance.now();
        for (let n = 1; n <= messages; n += 1) {
          await until(begun, n, ms);
          open.write(Buffer.alloc(size));
        }
        open.end();
      };
      if (method !== 'Down') send();
    }));
  };
  await one('warm1', 'Unary', 'a');
  await stream('warm2', 'Both', 2, 10, 0);
  await Promise.all([
    one('unary', 'Unary', 'a'),
    one('fail', 'Unary', 'fail'),
    one('none', 'None', 'a'),
    stream('down', 'Down'),
    stream('up', 'Up', 50, 1000, 5),
    stream('both', 'Both', 100, 1000, 50),
    one('late', 'Slow', 'a', { deadline: Date.now() + 300 }),
    one('cancelled', 'Slow', 'a', {}, (open) => setTimeout(() => open.cancel(), 100)),
  ]);
  client.close();
}

async function busy(port, load, ledger) {
  const { client, unary } = connect(port);
  await load((id, method, wait) => ledger(id, `/t.Calls/${method}`, () => unary(id, method, String(wait))));
  client.close();
}

module.exports = { serve, call, busy };
