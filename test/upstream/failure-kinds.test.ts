import { Socket } from "node:net";
import t from "tap";
import type { FailureKind } from "../../src/observe/events.ts";
import { UpstreamConnection } from "../../src/upstream/connection.ts";
import { failureAnswer } from "../../src/upstream/failure.ts";
import { UpstreamCall } from "../../src/upstream/forward.ts";
import { member } from "../../src/upstream/pool.ts";
import { PoolMember } from "../../src/upstream/pool-member.ts";

t.test("each failure has its status", async (t) => {
  const statuses: Record<FailureKind, number> = {
    "connect-refused": 502,
    "connect-failed": 502,
    "connect-timeout": 504,
    "closed-without-answer": 502,
    "answer-malformed": 502,
    "answer-cut": 502,
    "answer-timeout": 504,
    "body-stalled": 504,
    "spool-full": 503,
    "file-unreadable": 502,
    "no-worker": 503,
  };
  for (const [kind, status] of Object.entries(statuses))
    t.equal(failureAnswer(kind as FailureKind).status, status, kind);
});

t.test("a connection that is never made ends after its own time", async (t) => {
  const socket = Object.defineProperty(new Socket(), "connecting", { value: true });
  // Silence of a socket keeps no process alive.
  const alive = setInterval(() => {}, 1_000);
  t.teardown(() => clearInterval(alive));
  const odoo = new PoolMember(member("127.0.0.1", 1), { keepAlive: false, isBackup: false });
  odoo.connect = () => new UpstreamConnection(socket, odoo);
  const request = {
    method: "GET",
    target: "/",
    lines: "",
    body: null,
    answerTimeoutMs: 60_000,
    wantsTunnel: false,
  };
  const failed = await new Promise<readonly [FailureKind, string]>((resolve) => {
    const never = () => t.fail("nothing else is told");
    const listener = { head: never, data: never, end: never, tunnel: never, stalled: never };
    new UpstreamCall(odoo, request, { ...listener, failure: (...told) => resolve(told) }, 20).start();
  });
  t.same(failed, ["connect-timeout", "no connection in 20 ms"]);
  await new Promise(setImmediate);
  t.ok(socket.destroyed);
});
