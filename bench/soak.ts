import { createHash, randomBytes, X509Certificate } from "node:crypto";
import { copyFileSync, mkdirSync, readFileSync } from "node:fs";
import { Agent, request } from "node:https";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { connect } from "node:tls";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startDemo } from "../src/demo/start.ts";
import { makeCertificate } from "./certificate.ts";
import { freePort, residentMiB, startDaemon, temporaryDirectory } from "./children.ts";
import { type Sample, slopePerMinute } from "./slope.ts";

/**
 * Mixed work for a long time, with everything that an operator does to a gateway meanwhile. Every answer carries a token of
 * its request: one that belongs to another, or is not whole, is wrong; one that does not come is lost. Both must be none, except
 * that while the stand-in is down a page of ours (502, 503, 504) is an answer and a websocket may end.
 */
const help = `Usage: npm run bench:soak [-- --minutes N --workers N]

  --minutes N   1–240, default 30; stops by itself
  --workers N   1–8, default 1; with several, SIGUSR2 replaces them now and then, and memory is that of all

Exit status 0: nothing wrong, nothing lost, and memory flat (runs of 10 minutes and more: below 1 MiB a minute).
`;
const pauseMs = 150;
const answerMsMax = 30_000;
/** After the stand-in is back, Odoo may still be taken for dead this long. */
const afterDownMs = 5_000;
const slopeMiBMax = 1;
const replacedMsMax = 60_000;

const { values } = parseArgs({
  options: { minutes: { type: "string" }, workers: { type: "string" }, help: { type: "boolean" } },
});
if (values.help === true) {
  process.stdout.write(help);
  process.exit(0);
}
const minutes = Math.min(240, Math.max(1, Number(values.minutes ?? "30") || 30));
const workers = Math.min(8, Math.max(1, Math.floor(Number(values.workers ?? "1")) || 1));
const endMs = performance.now() + minutes * 60_000;

const dir = temporaryDirectory();
const certificates = ["a", "b"].map((name) => {
  const own = join(dir, name);
  mkdirSync(own);
  const made = makeCertificate(own);
  if (made === null) throw new Error("openssl is not installed");
  return { ...made, print: new X509Certificate(readFileSync(made.cert)).fingerprint256 };
});
const shown = { cert: join(dir, "cert.pem"), key: join(dir, "key.pem"), print: "" };

function show(index: number): void {
  const one = certificates[index % 2];
  if (one === undefined) return;
  copyFileSync(one.key, shown.key);
  copyFileSync(one.cert, shown.cert);
  shown.print = one.print;
}

show(0);
let demo = await startDemo({ workers: 8 });
const odoo = { webPort: demo.webPort, busPort: demo.busPort, workers: 8 };
const port = await freePort();
const gateway = await startDaemon(
  "gateway",
  process.execPath,
  [fileURLToPath(new URL("../src/main.js", import.meta.url))],
  {
    dir,
    port,
    env: {
      DOMAIN: "localhost",
      ODOO_URL: `http://127.0.0.1:${odoo.webPort}`,
      ODOO_BUS_URL: `http://127.0.0.1:${odoo.busPort}`,
      HTTPS_LISTEN: `127.0.0.1:${port}`,
      HTTP_LISTEN: "off",
      ADMIN_LISTEN: "off",
      TLS_MODE: "files",
      TLS_CERT_FILE: shown.cert,
      TLS_KEY_FILE: shown.key,
      WORKERS: String(workers),
      STATE_DIR: join(dir, "state"),
      CERTS_DIR: join(dir, "certs"),
      // The work comes from a handful of addresses; bans come from others.
      TRUSTED_NETWORKS: "127.0.1.0/24",
    },
  },
);

const counts = new Map<string, number>();
const wrong: string[] = [];
const lost: string[] = [];
let wentDownMs = Number.NEGATIVE_INFINITY;
let backMs = Number.NEGATIVE_INFINITY;
let replacedMs = Number.NEGATIVE_INFINITY;

function count(kind: string): void {
  counts.set(kind, (counts.get(kind) ?? 0) + 1);
}

/** Was the stand-in away at any time since then? */
function wasDown(sinceMs: number): boolean {
  return wentDownMs > backMs || sinceMs < backMs + afterDownMs;
}

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly from: string;
  readonly body?: Buffer;
  readonly type?: string;
  readonly agent?: Agent;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

function ask(asked: Asked): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asking = request(
      {
        host: "127.0.0.1",
        localAddress: asked.from,
        port,
        servername: "localhost",
        // Certificates of this run, signed by nobody; which one it is is looked at by the swap.
        rejectUnauthorized: false,
        method: asked.method,
        path: asked.path,
        agent: asked.agent ?? false,
        timeout: answerMsMax,
        headers: {
          Host: `localhost:${port}`,
          ...(asked.type === undefined ? {} : { "Content-Type": asked.type }),
          ...(asked.body === undefined ? {} : { "Content-Length": asked.body.length }),
        },
      },
      (answer) => {
        const parts: Buffer[] = [];
        answer.on("data", (part: Buffer) => parts.push(part));
        answer.on("error", reject);
        answer.on("end", () =>
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(parts).toString("latin1") }),
        );
      },
    );
    asking.on("timeout", () => asking.destroy(new Error(`no answer in ${answerMsMax} ms`)));
    asking.on("error", reject);
    asking.end(asked.body);
  });
}

/** Asks until the end; `right` judges a 200. */
async function worker(
  kind: string,
  from: string,
  make: (token: string) => Omit<Asked, "from">,
  right: (answer: Answer, token: string, asked: Omit<Asked, "from">) => boolean,
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  for (let i = 0; performance.now() < endMs; i++) {
    const token = randomBytes(9).toString("hex");
    const asked = make(token);
    const startMs = performance.now();
    try {
      const answer = await ask({ ...asked, from, ...(i % 4 === 0 ? {} : { agent }) });
      const isPage = answer.status === 502 || answer.status === 503 || answer.status === 504;
      if (answer.status === 200 && right(answer, token, asked)) count(kind);
      else if (isPage && wasDown(startMs)) count(`${kind}, Odoo away`);
      else wrong.push(`${kind}: ${answer.status} ${answer.text.slice(0, 200)}`);
    } catch (error) {
      lost.push(
        `${kind}: ${error instanceof Error ? error.message : String(error)}${wasDown(startMs) ? " (Odoo away)" : ""}`,
      );
    }
    await delay(pauseMs);
  }
  agent.destroy();
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const rpcRight = (answer: Answer, token: string) =>
  answer.text.includes(`"id": "${token}"`) || answer.text.includes(`"id":"${token}"`);

/** A websocket that says a token a second and hears it again; a new one when Odoo took it away. */
async function tunnels(from: string): Promise<void> {
  while (performance.now() < endMs) {
    const startMs = performance.now();
    const end = await tunnel(from);
    if (end === null) continue;
    // A worker that was replaced closes its websockets when its last connection was idle for its bound.
    const wasReplaced = startMs < replacedMs && performance.now() < replacedMs + replacedMsMax;
    if (wasDown(startMs)) count("websocket, Odoo away");
    else if (wasReplaced) count("websocket, worker replaced");
    else lost.push(`websocket: ${end}`);
    await delay(pauseMs);
  }
}

/** Null: it was ended by us. */
function tunnel(from: string): Promise<string | null> {
  return new Promise((resolve) => {
    const at = { host: "127.0.0.1", port, localAddress: from, servername: "localhost" };
    const socket = connect({ ...at, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
    let text = "";
    let token = "";
    let said = 0;
    const say = () => {
      if (token !== "") return void socket.destroy(new Error("a message did not come back in 10 s"));
      if (performance.now() > endMs || said >= 60) {
        clearInterval(timer);
        resolve(null);
        return void socket.destroy();
      }
      said += 1;
      token = randomBytes(9).toString("hex");
      text = "";
      socket.write(textFrame(JSON.stringify({ event_name: "demo_echo", data: token })));
    };
    let timer: NodeJS.Timeout;
    socket.write(
      `GET /websocket?version=19.0-2 HTTP/1.1\r\nHost: localhost:${port}\r\nOrigin: https://localhost:${port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
    );
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (said === 0 && text.includes("\r\n\r\n")) {
        if (!text.startsWith("HTTP/1.1 101 ")) return void socket.destroy(new Error(text.slice(0, 60)));
        timer = setInterval(say, 10_000);
        say();
      } else if (token !== "" && text.includes(token)) {
        token = "";
        count("websocket");
      }
    });
    let why = "ended";
    socket.on("error", (error) => {
      why = error.message;
    });
    socket.on("close", () => {
      clearInterval(timer);
      resolve(why);
    });
  });
}

function textFrame(text: string): Buffer {
  // A mask of zeros is a mask (RFC 6455 §5.3).
  return Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), Buffer.from(text)]);
}

/** Reloads, a new certificate every other time, restarts of the stand-in, and bans. */
async function operator(): Promise<void> {
  for (let i = 1; performance.now() + 15_000 < endMs; i++) {
    await delay(5_000);
    if (i % 2 === 0) show(i / 2);
    process.kill(gateway.pid, "SIGHUP");
    count("reload");
    if (i % 2 === 0) await seesCertificate();
    if (workers > 1 && i % 5 === 0) {
      process.kill(gateway.pid, "SIGUSR2");
      replacedMs = performance.now();
      count("workers replaced");
    }
    if (i % 6 === 0) await restart();
    if (i % 4 === 0) await ban(`127.0.9.${1 + ((i / 4) % 250)}`);
  }
}

async function seesCertificate(): Promise<void> {
  const giveUpMs = performance.now() + 10_000;
  for (;;) {
    const print = await new Promise<string>((resolve) => {
      const at = { host: "127.0.0.1", port, localAddress: "127.0.1.99", servername: "localhost" };
      const socket = connect({ ...at, rejectUnauthorized: false });
      socket.once("secureConnect", () => {
        resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
        socket.destroy();
      });
      socket.on("error", (error) => resolve(error.message));
    });
    if (print === shown.print) return count("certificate swap");
    if (performance.now() > giveUpMs) return void wrong.push(`certificate: ${print}`);
    await delay(100);
  }
}

async function restart(): Promise<void> {
  wentDownMs = performance.now();
  await demo.close();
  await delay(1_500);
  demo = await startDemo(odoo);
  backMs = performance.now();
  count("restart of the stand-in");
}

/** Five wrong passwords from one address are a ban. A name of its own each time: one that is guessed at from everywhere is closed with 429 instead. */
async function ban(from: string): Promise<void> {
  const startMs = performance.now();
  try {
    for (let i = 0; i < 5; i++)
      await ask({
        method: "POST",
        path: "/web/session/authenticate",
        type: "application/json",
        body: json({ params: { db: "prod", login: `nobody-${from}`, password: "wrong" } }),
        from,
      });
    const { status } = await ask({ method: "GET", path: "/demo/echo", from });
    if (status === 403) count("ban");
    else if (!wasDown(startMs)) wrong.push(`ban: ${status}`);
  } catch (error) {
    lost.push(`ban: ${error instanceof Error ? error.message : String(error)}`);
  }
}

const samples: Sample[] = [];

/** A single process starts others for a while that compress files; they are no part of it. */
async function watchMemory(): Promise<void> {
  while (performance.now() < endMs) {
    samples.push({ minute: performance.now() / 60_000, mebibytes: residentMiB(gateway.pid, workers === 1) });
    await delay(1_000);
  }
}

const page = await ask({ method: "GET", path: "/web/login", from: "127.0.1.98" });
const asset = /"(\/web\/assets\/[^"]+\.js)"/.exec(page.text)?.[1] ?? "/web/static/img/favicon.ico";
const assetPrint = createHash("sha256")
  .update((await ask({ method: "GET", path: asset, from: "127.0.1.98" })).text)
  .digest("hex");
const echoed = (answer: Answer, token: string) => answer.text.includes(token);

await Promise.all([
  ...[1, 2, 3].map((n) =>
    worker("page", `127.0.1.${n}`, (token) => ({ method: "GET", path: `/demo/echo?token=${token}` }), echoed),
  ),
  ...[4, 5].map((n) =>
    worker(
      "RPC",
      `127.0.1.${n}`,
      (id) => ({
        method: "POST",
        path: "/jsonrpc",
        type: "application/json",
        body: json({
          jsonrpc: "2.0",
          id,
          method: "call",
          params: { service: "common", method: "version", args: [] },
        }),
      }),
      rpcRight,
    ),
  ),
  ...[6, 7].map((n) =>
    worker(
      "asset",
      `127.0.1.${n}`,
      () => ({ method: "GET", path: asset }),
      (answer) => createHash("sha256").update(answer.text).digest("hex") === assetPrint,
    ),
  ),
  worker(
    "upload",
    "127.0.1.8",
    (token) => ({
      method: "POST",
      path: `/demo/echo?token=${token}`,
      type: "application/octet-stream",
      body: randomBytes(300_000),
    }),
    (answer, token, { body }) =>
      answer.text.includes(token) &&
      answer.text.includes(
        createHash("sha256")
          .update(body ?? "")
          .digest("hex"),
      ),
  ),
  worker(
    "log-in",
    "127.0.1.9",
    (id) => ({
      method: "POST",
      path: "/web/session/authenticate",
      type: "application/json",
      body: json({ jsonrpc: "2.0", id, params: { db: "prod", login: "demo", password: "demo" } }),
    }),
    (answer, token) => rpcRight(answer, token) && answer.text.includes('"uid"'),
  ),
  tunnels("127.0.1.10"),
  tunnels("127.0.1.11"),
  operator(),
  watchMemory(),
]);

for (const [kind, times] of [...counts].sort())
  process.stdout.write(`${String(times).padStart(8)}  ${kind}\n`);
const settled = samples.slice(Math.floor(samples.length / 3));
const slope = slopePerMinute(settled);
const at = (list: readonly Sample[], index: number) => list.at(index)?.mebibytes.toFixed(0) ?? "?";
process.stdout.write(
  `memory: ${at(samples, 0)} MiB at the start, ${at(settled, 0)} after a third, ${at(settled, -1)} at the end; ${slope.toFixed(2)} MiB a minute\n`,
);
process.stdout.write(
  `wrong: ${wrong.length}\n${wrong
    .slice(0, 10)
    .map((line) => `  ${line}\n`)
    .join("")}`,
);
process.stdout.write(
  `lost: ${lost.length}\n${lost
    .slice(0, 10)
    .map((line) => `  ${line}\n`)
    .join("")}`,
);
const rises = minutes >= 10 && slope > slopeMiBMax;
await gateway.stop();
await demo.close();
process.exit(wrong.length > 0 || lost.length > 0 || rises ? 1 : 0);
