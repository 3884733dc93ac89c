import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { requestBody, requestHeaders, requestHost, requestPath } from "./request.ts";

/**
 * Requests at an even rate, whatever the answers take, run as a process of its own: one each millisecond on a connection that is free. A latency
 * counts from the moment the request was due. Arguments: port, seconds, requests a second, `tls` or `plain` (a fresh TCP connection for each request).
 * Writes one line of JSON.
 */

const [port = 0, seconds = 0, rate = 0] = process.argv.slice(2, 5).map(Number);
const isPlain = process.argv[5] === "plain";
/** Connections at most; past it a request that is due waits for one. */
const connectionsMax = 40;
const settleMs = 500;
/** The first requests are not counted. */
const uncountedMs = 500;
const lastAnswersMs = 300;

const body = requestBody();
const head = [
  `POST ${requestPath} HTTP/1.1`,
  `Host: ${requestHost}`,
  ...requestHeaders.map(([name, value]) => `${name}: ${value}`),
  `Content-Length: ${body.length}`,
];
const request = Buffer.from([...head, "", body].join("\r\n"), "latin1");

const free: Client[] = [];
const due: number[] = [];
const latenciesMs: number[] = [];
let connections = 0;
let errors = 0;
let countFromMs = Number.POSITIVE_INFINITY;

class Client {
  readonly #socket: Socket;
  #dueMs = Number.NaN;
  #answer = "";

  constructor(socket: Socket) {
    this.#socket = socket;
    connections += 1;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#answer += chunk.toString("latin1");
      const end = this.#answer.indexOf("\r\n\r\n");
      const length = Number(/\r\ncontent-length: ?([0-9]+)/i.exec(this.#answer)?.[1] ?? Number.NaN);
      if (end >= 0 && this.#answer.length >= end + 4 + length) this.#answered();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => {
      connections -= 1;
      if (!Number.isNaN(this.#dueMs)) errors += 1;
      const at = free.indexOf(this);
      if (at >= 0) free.splice(at, 1);
    });
  }

  ask(dueMs: number): void {
    this.#dueMs = dueMs;
    this.#answer = "";
    this.#socket.write(request);
  }

  #answered(): void {
    if (this.#dueMs >= countFromMs) latenciesMs.push(performance.now() - this.#dueMs);
    if (!/^HTTP\/1\.[01] 200/.test(this.#answer)) errors += 1;
    this.#dueMs = Number.NaN;
    if (isPlain) return void this.#socket.destroy();
    free.push(this);
    send();
  }
}

function open(): void {
  if (isPlain) {
    const socket = connectTcp({ port, host: "127.0.0.1" }, () => {});
    free.push(new Client(socket));
    return;
  }
  const socket = connectTls(
    { port, host: "127.0.0.1", servername: "localhost", rejectUnauthorized: false },
    () => {
      free.push(new Client(socket));
      send();
    },
  );
}

function send(): void {
  for (;;) {
    const dueMs = due[0];
    if (dueMs === undefined) return;
    if (free.length === 0 && connections < connectionsMax) open();
    const client = free.pop();
    if (client === undefined) return;
    due.shift();
    client.ask(dueMs);
  }
}

if (!isPlain) for (let i = 0; i < 20; i += 1) open();
const startMs = performance.now() + settleMs;
countFromMs = startMs + uncountedMs;
const endMs = countFromMs + seconds * 1_000;
let nth = 0;
const tick = () => {
  const nowMs = performance.now();
  for (; startMs + (nth * 1_000) / rate <= Math.min(nowMs, endMs); nth += 1)
    due.push(startMs + (nth * 1_000) / rate);
  send();
  if (nowMs < endMs) return void setTimeout(tick, 1);
  // The last answers are waited for.
  setTimeout(() => {
    latenciesMs.sort((a, b) => a - b);
    const at = (share: number) => latenciesMs[Math.floor((latenciesMs.length - 1) * share)] ?? Number.NaN;
    const unanswered = due.length;
    const told = { requests: nth, errors: errors + unanswered, p50Ms: at(0.5), p99Ms: at(0.99) };
    process.stdout.write(`${JSON.stringify(told)}\n`, () => process.exit(0));
  }, lastAnswersMs);
};
tick();
