import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { dechunk, h1, h2, openHttp2, recordOf, until } from "../exchange/clients.ts";
import { type FaultKind, type FaultProxy, type FaultStage, startFaultProxy } from "../support/fault-proxy.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type RawAnswer, valuesOf } from "../support/upstream-raw.ts";

/** What a client is to see: the whole answer, a status of ours instead, or an answer that does not look whole. */
type View = "whole" | "cut" | 502 | 504;

interface Row {
  readonly stage: FaultStage;
  readonly kind: FaultKind;
  /** Of an answer that fits into one write: its head goes out with the first byte of its body. */
  readonly small: View;
  /** Of one whose head goes out at once. */
  readonly large: View;
  readonly failure: string | null;
}

const rows: readonly Row[] = [
  { stage: "connect", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "connect", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "connect", kind: "reset", small: 502, large: 502, failure: "closed-without-answer" },
  { stage: "connect", kind: "half", small: 502, large: 502, failure: "closed-without-answer" },
  { stage: "connect", kind: "black-hole", small: 504, large: 504, failure: "answer-timeout" },
  { stage: "request", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "request", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "request", kind: "reset", small: 502, large: 502, failure: "closed-without-answer" },
  { stage: "request", kind: "half", small: 502, large: 502, failure: "closed-without-answer" },
  { stage: "request", kind: "black-hole", small: 504, large: 504, failure: "answer-timeout" },
  { stage: "head", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "head", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "head", kind: "reset", small: 502, large: 502, failure: "answer-malformed" },
  { stage: "head", kind: "half", small: 502, large: 502, failure: "answer-malformed" },
  { stage: "head", kind: "black-hole", small: 504, large: 504, failure: "answer-timeout" },
  { stage: "after-head", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "after-head", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "after-head", kind: "reset", small: 502, large: "cut", failure: "answer-cut" },
  { stage: "after-head", kind: "half", small: 502, large: "cut", failure: "answer-cut" },
  { stage: "after-head", kind: "black-hole", small: 502, large: "cut", failure: "answer-cut" },
  { stage: "body", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "body", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "body", kind: "reset", small: "cut", large: "cut", failure: "answer-cut" },
  { stage: "body", kind: "half", small: "cut", large: "cut", failure: "answer-cut" },
  { stage: "body", kind: "black-hole", small: "cut", large: "cut", failure: "answer-cut" },
  { stage: "end", kind: "delay", small: "whole", large: "whole", failure: null },
  { stage: "end", kind: "slow", small: "whole", large: "whole", failure: null },
  { stage: "end", kind: "reset", small: "cut", large: "cut", failure: "answer-cut" },
  { stage: "end", kind: "half", small: "cut", large: "cut", failure: "answer-cut" },
  { stage: "end", kind: "black-hole", small: "cut", large: "cut", failure: "answer-cut" },
];

const sizes = { small: 600, large: 200_000 } as const;

let folder = "";
let proxy: FaultProxy;
let gateway: TestGateway;
let count = 0;

t.before(async () => {
  folder = mkdtempSync(join(tmpdir(), "odoo-gateway-faults-"));
  // A silence that a test can wait for; everything else as shipped.
  writeFileSync(
    join(folder, "90-all.yaml"),
    "rules:\n  - id: closed\n    why: No gateway starts without this.\n    match: { path: [/web/database/**, /*/web/database/**, /xmlrpc/**, /*/xmlrpc/**, /jsonrpc/**, /*/jsonrpc/**] }\n    deny: 404\n  - id: all\n    why: Everything goes to the application.\n    forward: web\n    limits: []\n    timeout: 500ms\n",
  );
});

t.teardown(async () => {
  await gateway.close();
  await proxy.close();
  rmSync(folder, { recursive: true });
});

t.test("a gateway with a spoilt way to Odoo", async () => {
  const demo = await startTestGateway();
  t.teardown(() => demo.close());
  proxy = await startFaultProxy(demo.demo.webPort);
  gateway = await startTestGateway({
    upstream: { webPort: proxy.port, busPort: demo.demo.busPort },
    env: { POLICIES_DIR: folder, HOLD_TIMEOUT: "0s" },
  });
});

async function delayed(row: Row, before: number): Promise<void> {
  if (row.kind !== "delay") return;
  await until(() => proxy.done > before);
  proxy.release();
}

function viewOf(answer: RawAnswer, bytes: number): View | string {
  if (answer.status === 502 || answer.status === 504) return answer.status;
  const body = valuesOf(answer, "transfer-encoding").length > 0 ? dechunk(answer.body) : null;
  const length = body === null ? answer.body.length : body.text.length;
  const isWhole = body === null ? Number(valuesOf(answer, "content-length")[0]) === length : body.whole;
  if (answer.status === 200 && isWhole) return length === bytes ? "whole" : `whole, but ${length} bytes`;
  return answer.status === 200 || answer.status === 0 ? "cut" : String(answer.status);
}

for (const row of rows) {
  t.test(`${row.kind} at ${row.stage}`, async (t) => {
    for (const [size, bytes] of Object.entries(sizes) as ["small" | "large", number][]) {
      for (const method of ["GET", "POST"] as const) {
        count += 1;
        const target = `/demo/big?bytes=${bytes}&n=${count}`;
        const { connections, done } = proxy;
        proxy.next(row);
        const asking = h1(gateway, `${method} ${target}`, [], method === "POST" ? "x".repeat(100_000) : "");
        await delayed(row, done);
        const answer = await asking;
        t.equal(viewOf(answer, bytes), row[size], `${method} ${size}, HTTP/1.1`);
        const record = await recordOf(gateway, target);
        t.equal(record.failure, row.failure, `${method} ${size}: ${record.status}`);
        t.equal(record.status, typeof row[size] === "number" ? row[size] : 200);
        t.equal(proxy.connections - connections, 1, "sent once");
        if (typeof row[size] === "number")
          t.ok(answer.body.includes(record.id), "the answer names its exchange");
      }
      count += 1;
      const session = await openHttp2(gateway);
      const { done } = proxy;
      proxy.next(row);
      const target = `/demo/big?bytes=${bytes}&n=${count}`;
      const asking = h2(session, gateway, { ":path": target });
      await delayed(row, done);
      const answer = await asking;
      const wanted = row[size];
      if (wanted === "whole") t.equal(answer.body.length, bytes, `${size}, HTTP/2`);
      else if (wanted === "cut") t.equal(answer.rstCode, constants.NGHTTP2_INTERNAL_ERROR, `${size}, HTTP/2`);
      else t.equal(answer.status, wanted, `${size}, HTTP/2`);
      t.equal((await recordOf(gateway, target)).failure, row.failure);
      t.equal((await h2(session, gateway, { ":path": "/demo/echo" })).status, 200, "the connection goes on");
      session.close();
    }
    // A black hole too is left: the gateway closes its side.
    await until(() => proxy.open === 0);
    t.equal(gateway.running.gateway.exchanges, 0);
  });
}

t.test("with a wait for Odoo, a GET that was hung up on is asked again and nothing else is", async (t) => {
  const waiting = await startTestGateway({
    upstream: { webPort: proxy.port, busPort: proxy.port },
    env: { POLICIES_DIR: folder, HOLD_TIMEOUT: "10s" },
  });
  t.teardown(() => waiting.close());
  for (const row of rows) {
    if (row.kind === "slow" || row.kind === "delay" || row.kind === "black-hole") continue;
    for (const method of ["GET", "POST"] as const) {
      count += 1;
      const target = `/demo/big?bytes=600&n=${count}`;
      const { connections } = proxy;
      proxy.next(row);
      const answer = await h1(waiting, `${method} ${target}`, [], method === "POST" ? "x" : "");
      const again = method === "GET" && row.failure === "closed-without-answer";
      const wanted = row.small === "cut" ? 200 : row.small;
      t.equal(answer.status, again ? 200 : wanted, `${method}, ${row.kind} at ${row.stage}`);
      t.equal(proxy.connections - connections, again ? 2 : 1);
      t.equal((await recordOf(waiting, target)).failure, again ? null : row.failure);
    }
  }
});
