// Calls over HTTP/2 without TLS, with @grpc/grpc-js or with Node's own http2: `calls.js (grpc|http) serve PORT`,
// `calls.js (grpc|http) call PORT NAME` or `calls.js (grpc|http) busy PORT SECONDS`. See ../README.md.
const stack = require(`./${process.argv[2]}.js`);
const [job, port, argument] = process.argv.slice(3);

// For pauses between messages: `await until(begun, n, ms)` waits until n pauses have passed since then, so that none adds up.
const until = (begun, n, ms) => new Promise((done) => setTimeout(done, Math.max(0, begun + n * ms - performance.now())));
const nowNs = () => BigInt(Math.round((performance.timeOrigin + performance.now()) * 1000)) * 1000n;

// Row by row on stdout; the status is empty where none came.
async function ledger(id, method, attempt) {
  const start = nowNs();
  const status = await attempt();
  const end = nowNs();
  process.stdout.write(`{"id":"${id}","method":"${method}","status":"${status}","start":${start},"end":${end}}\n`);
}

// Four calls at a time, of ever more methods.
async function busy(seconds, call) {
  const begun = performance.now();
  const elapsed = () => (performance.now() - begun) / 1000;
  const worker = async (w) => {
    for (let n = 0; elapsed() < seconds; n += 1) {
      const methods = Math.min(64, 8 + 8 * Math.floor(elapsed()));
      await call(`busy-${w}-${n}`, `M${Math.floor(Math.random() * methods)}`, 5 + Math.floor(Math.random() * 25));
    }
  };
  await Promise.all([0, 1, 2, 3].map(worker));
}

if (job === 'serve') {
  stack.serve(port, until);
} else if (job === 'call') {
  stack.call(port, argument, ledger, until);
} else {
  stack.busy(port, (call) => busy(Number(argument), call), ledger);
}
