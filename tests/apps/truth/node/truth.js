// What the Node programs of the ledger share: reading a plan (tests/src/truth/plan.rs), making its calls, and writing rows.
// Rows are written at once: the test may end us at any time.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const DELAYS = [0, 1, 2, 5, 10, 20, 50, 100, 200, 500];
const STATUSES = { 2: 200, 4: 404, 5: 500 };
const HEADER = 'x-ledger-id';
const { SERVICE, LEDGER, POOL } = process.env;
const peers = process.env.PEERS.split(',');
const pool = Number(POOL);
const ledger = fs.openSync(path.join(LEDGER, `${SERVICE}-${process.pid}.jsonl`), 'a');

// Node's clock of the day has milliseconds; the difference to the fine clock is taken once.
const epoch = BigInt(Date.now()) * 1_000_000n - process.hrtime.bigint();
const now = () => epoch + process.hrtime.bigint();

function write(kind, call, parent, path, status, start) {
  const id = kind === 'server' ? `${call}/s` : call;
  const row = { id, parent, kind, call, service: SERVICE, pid: process.pid, method: 'GET', path, status };
  const times = `,"start_ns":${start},"end_ns":${now()}}\n`;
  fs.writeSync(ledger, JSON.stringify(row).slice(0, -1) + times);
}

function end(text, at) {
  const calls = Number(text[at + 4]);
  at += 5;
  for (let n = 0; n < calls; n += 1) at = end(text, at);
  return at;
}

// One request: when to wait, what to answer, and the plans of its calls as text.
function read(text) {
  const plans = [];
  let at = 5;
  for (let n = 0; n < Number(text[4]); n += 1) {
    const next = end(text, at);
    plans.push(text.slice(at, next));
    at = next;
  }
  return {
    late: 'SP'.includes(text[1]),
    parallel: 'pP'.includes(text[1]),
    delay: DELAYS[text[2]],
    status: STATUSES[text[3]],
    plans,
  };
}

// A call and its row. The client is (target, url, headers) => status; it throws when there is no answer.
async function call(client, inbound, number, plan, own) {
  const id = own || `${inbound}.${number}`;
  const target = Number(plan[0]);
  const path = `/t/${plan}`;
  const start = now();
  let status = 0;
  try {
    status = await client(target, peers[target] + path, { [HEADER]: id });
  } catch {
    // A call without an answer has status 0.
  }
  write('client', id, inbound && `${inbound}/s`, path, status, start);
}

module.exports = { HEADER, call, now, peers, pool, read, write };
