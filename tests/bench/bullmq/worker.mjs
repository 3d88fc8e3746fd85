// A BullMQ worker that signs bodies as Standard Webhooks do and posts them, told what to do over its stdin:
//   {"command": "fill", "file": …}          put the bodies of a file into the queue
//   {"command": "run", "url": …, "at_once": n}  work the queue off; answers how many, and the seconds that it took
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import http from 'node:http';
import { createInterface } from 'node:readline';
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';

const connection = new Redis({ path: process.argv[2], maxRetriesPerRequest: null });
const key = Buffer.from(process.argv[3], 'base64');
const queue = new Queue('deliveries', { connection });
const options = { attempts: 10, backoff: { type: 'exponential', delay: 5000 }, removeOnComplete: true };
let filled = 0;

async function fill({ file }) {
  const data = readFileSync(file);
  const jobs = [];
  for (let at = 0; at < data.length; ) {
    const size = data.readUInt32BE(at);
    const body = data.toString('utf8', at + 4, at + 4 + size);
    jobs.push({ name: 'deliver', data: { id: `msg_${jobs.length}`, body }, opts: options });
    at += 4 + size;
  }
  for (let at = 0; at < jobs.length; at += 1000) await queue.addBulk(jobs.slice(at, at + 1000));
  filled = jobs.length;
  return { jobs: filled };
}

function post(agent, url, { id, body }) {
  const now = Math.floor(Date.now() / 1000);
  const signature = createHmac('sha256', key).update(`${id}.${now}.${body}`).digest('base64');
  const headers = {
    'Content-Type': 'application/json',
    'Content-Length': Buffer.byteLength(body),
    'webhook-id': id,
    'webhook-timestamp': String(now),
    'webhook-signature': `v1,${signature}`,
  };
  return new Promise((resolve, reject) => {
    const request = http.request(url, { method: 'POST', agent, headers }, (response) => {
      response.resume();
      response.on('end', () =>
        response.statusCode < 300 ? resolve() : reject(new Error(`answered ${response.statusCode}`)),
      );
    });
    request.on('error', reject);
    request.end(body);
  });
}

async function run({ url, at_once }) {
  const agent = new http.Agent({ keepAlive: true, maxSockets: at_once });
  const worker = new Worker('deliveries', (job) => post(agent, url, job.data), {
    connection,
    concurrency: at_once,
    autorun: false,
  });
  let done = 0;
  const began = process.hrtime.bigint();
  const all = new Promise((resolve, reject) => {
    worker.on('completed', () => ++done === filled && resolve());
    worker.on('failed', (job, error) => reject(error));
  });
  worker.run();
  await all;
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  await worker.close();
  agent.destroy();
  return { done, seconds };
}

const commands = { fill, run };
console.log(JSON.stringify({}));
for await (const line of createInterface({ input: process.stdin })) {
  const said = JSON.parse(line);
  console.log(JSON.stringify(await commands[said.command](said)));
}
await queue.close();
await connection.quit();
