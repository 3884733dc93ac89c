import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import t from "tap";
import type { ExchangeId } from "../../src/base/brands.ts";
import { ownCopy } from "../../src/base/flat.ts";
import { readTarget } from "../../src/message/target.ts";
import { accessLine } from "../../src/observe/access-line.ts";
import { decide } from "../../src/policy/decide.ts";
import { settingsFor, shippedPolicy } from "../policy/support.ts";
import { factsFor } from "../support/facts.ts";

/** What is remembered of a request is a part of its text; these tests hold that the rest of the text goes. */

function heapBytes(): number {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  return process.memoryUsage().heapUsed;
}

const rounds = 1_500;

t.test("a browser's name in the log does not keep the head it came in", async (t) => {
  const write = (i: number) => {
    const head = Buffer.from(`X: ${"p".repeat(28_000)}\r\nUser-Agent: a-browser-of-its-own-${i}`).toString(
      "latin1",
    );
    const [, line = ""] = head.split("\r\n");
    accessLine({
      type: "access",
      wallMs: 0,
      id: "x" as ExchangeId,
      client: "203.0.113.9",
      peer: "203.0.113.9",
      protocol: "HTTP/1.1",
      method: "GET",
      host: "erp.example.com",
      target: "/",
      status: 200,
      bytesIn: 0,
      bytesOut: 0,
      rule: "r",
      verdict: "forward",
      limit: null,
      failure: null,
      cache: null,
      totalMs: 1,
      upstreamMs: null,
      queueMs: 0,
      lane: null,
      userAgent: line.slice("User-Agent: ".length),
    });
  };
  write(-1);
  const before = heapBytes();
  for (let i = 0; i < rounds; i += 1) write(i);
  const kept = heapBytes() - before;
  t.ok(kept < 8e6, `${(kept / 1e6).toFixed(1)} MB`);
});

t.test("a path whose rules are known does not keep the query behind it", async (t) => {
  const policy = shippedPolicy(settingsFor("standard"));
  const query = "q".repeat(8_000);
  const ask = (i: number) => {
    const read = readTarget(Buffer.from(`/a-path-of-its-own-${i}?${query}`).toString("latin1"));
    if (!read.ok) throw new Error("a target that is none");
    decide(policy, { ...factsFor({ path: "/" }), ...read.value }, { knownSession: false });
  };
  ask(-1);
  const before = heapBytes();
  for (let i = 0; i < rounds; i += 1) ask(i);
  const kept = heapBytes() - before;
  t.ok(kept < 6e6, `${(kept / 1e6).toFixed(1)} MB`);
});

t.test("a copy is the same text", async (t) => {
  for (const text of ["", "/web", "/caf\u00e9", "/\u0416\u{1f600}", "\ud800x"]) t.equal(ownCopy(text), text);
});
