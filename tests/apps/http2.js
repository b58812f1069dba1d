// HTTP/2 of Node.js, without TLS: `http2.js PORT` serves and says how many bytes came; `http2.js PORT MIB` sends so many on a warm connection.
// `/held` is answered at once and goes both ways until the client has said all: for 500 ms.
const http2 = require('http2');
const port = Number(process.argv[2]);
if (process.argv.length === 3) {
  const server = http2.createServer({ settings: { initialWindowSize: 1 << 20 } });
  server.on('stream', (stream, headers) => {
    let bytes = 0;
    stream.on('error', () => {});
    if (headers[':path'] === '/held') {
      stream.respond({ ':status': 200 });
      stream.on('data', (data) => stream.write(data));
      stream.on('end', () => stream.end());
      return;
    }
    stream.on('data', (data) => { bytes += data.length; });
    stream.on('end', () => { stream.respond({ ':status': 200 }); stream.end(String(bytes)); });
  });
  server.listen(port, '127.0.0.1');
} else {
  const session = http2.connect(`http://127.0.0.1:${port}`);
  const ask = (path, send) => new Promise((done, failed) => {
    const stream = session.request({ ':method': 'POST', ':path': path });
    let answer = '';
    stream.on('data', (data) => { answer += data; });
    stream.on('end', () => done(answer));
    stream.on('error', failed);
    send(stream);
  });
  const pause = (ms) => new Promise((done) => setTimeout(done, ms));
  const small = (stream) => stream.end('x');
  const held = async (stream) => {
    for (let n = 0; n < 10; n += 1) {
      stream.write(`${n}`);
      await pause(50);
    }
    stream.end();
  };
  const large = (stream) => {
    const block = Buffer.alloc(1 << 20);
    let left = Number(process.argv[3]);
    const send = () => {
      while (left > 0) {
        left -= 1;
        if (!stream.write(block)) {
          stream.once('drain', send);
          return;
        }
      }
      stream.end();
    };
    send();
  };
  (async () => {
    for (const path of ['/warm/1', '/warm/2', '/warm/3']) {
      await ask(path, small);
      await pause(300);
    }
    await ask('/held', held);
    console.log(await ask('/upload', large));
    await ask('/after', small);
    session.close();
  })();
}
