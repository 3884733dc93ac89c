import t, { type Test } from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { startMember } from "../support/member.ts";
import { type OneAtATime, type OneAtATimeOptions, startOneAtATime } from "../support/one-at-a-time.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { openTls, requestText, until } from "./clients.ts";

const text = ["Content-Type: text/plain", "User-Agent: Mozilla/5.0 (X11) Firefox/140.0"];
/** Longer than any of these may take, on a machine that does other things too. */
const answerMsMax = 60_000;

/** A gateway that knows nothing of workers, before an Odoo with a short listen queue. */
async function before(options: OneAtATimeOptions, env: Record<string, string> = {}) {
  const odoo = await startOneAtATime(options);
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    // The bus port is none: its watch must not stand in this listen queue.
    env: { TRUSTED_NETWORKS: "127.0.0.1", ODOO_BUS_URL: "http://127.0.0.1:9", ...env },
  });
  return {
    odoo,
    gateway,
    /** That many POSTs at once, on connections that stand already. */
    async burst(count: number, word: string) {
      const sockets = await Promise.all(Array.from({ length: count }, () => openTls(gateway)));
      const all = sockets.map((socket, i) =>
        rawTalk(0, requestText(gateway, `POST /${word}?${i}`, text, `body ${i}`), {
          socket,
          timeoutMs: answerMsMax,
        }),
      );
      return Promise.all(all);
    },
    async close() {
      await gateway.close();
      await odoo.close();
    },
  };
}

function servedOf(odoo: OneAtATime, word: string): readonly string[] {
  return odoo.served.filter((line) => line.startsWith(`POST /${word}?`)).sort();
}

function linesOf(count: number, word: string): readonly string[] {
  return Array.from({ length: count }, (_, i) => `POST /${word}?${i} HTTP/1.1`).sort();
}

/** Thirty log in at once, and each has an answer; with the gateway that served them. */
async function thirtyLogIn(t: Test) {
  // The kernel asks again after one second, and then after three: it is full for longer than the first.
  const all = await before({ backlog: 3, workMs: 50, secondMs: 2_000 });
  const { odoo, gateway, burst } = all;
  // Who never answered anybody would be no full Odoo.
  await burst(1, "before");
  const answers = await burst(30, "login");
  for (const [i, answer] of answers.entries()) {
    t.equal(answer.status, 200, `request ${i}`);
    t.equal(answer.body, `body ${i}`);
  }
  t.same(servedOf(odoo, "login"), linesOf(30, "login"), "each once");
  return { ...all, full: gateway.events.filter((one) => one.type === "odoo-full") };
}

t.test("thirty log in at once at an Odoo whose listen queue is short: each is served once", async (t) => {
  let round = await thirtyLogIn(t);
  // A kernel that is late takes all of a burst with SYN cookies; then no connection stalls, and nobody can see that the queue was full.
  for (let more = 0; round.full.length === 0 && more < 4; more += 1) {
    await round.close();
    round = await thirtyLogIn(t);
  }
  const { odoo, gateway, burst, close, full } = round;
  t.ok(full.length > 0);
  t.match(full[0], { remedy: /ODOO_WORKERS/ });
  const { capacity, learnt } = gateway.running.queue();
  t.equal(learnt, true);
  t.ok(capacity !== null && capacity >= 2 && capacity <= 8, `${capacity}: about what was ever connected`);
  t.equal(gateway.events.filter((one) => one.type === "upstream-failed").length, 0);
  t.ok(
    gateway.records().some(({ queueMs }) => queueMs >= 900),
    "the second that was lost stands in the access line",
  );
  const status: unknown = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)).json();
  t.match(status, { queue: { capacity, learnt: true, waiting: 0 } });
  const metrics = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/metrics`)).text();
  t.match(metrics, new RegExp(`odoo_gateway_odoo_capacity\\{source="learnt"\\} ${capacity}\\b`));

  // The next burst waits here from the beginning.
  const again = await burst(30, "again");
  t.ok(again.every(({ status: one }) => one === 200));
  t.same(servedOf(odoo, "again"), linesOf(30, "again"));
  t.match(gateway.running.queue(), { inFlight: 0, waiting: 0, learnt: true });
  await close();
});

t.test("members that connect some and answer nobody are no full Odoo: 504, as ever", async (t) => {
  // Of several members each has 5 s to connect, not 30.
  const other = await startOneAtATime({ backlog: 3, workMs: 0, never: "/" });
  const odoo = await startOneAtATime({ backlog: 3, workMs: 0, never: "/" });
  const gateway = await startTestGateway({
    env: {
      ODOO_URL: `http://127.0.0.1:${odoo.port} http://127.0.0.1:${other.port}`,
      ODOO_BUS_URL: "http://127.0.0.1:9",
      TRUSTED_NETWORKS: "127.0.0.1",
    },
  });
  const sockets = await Promise.all(Array.from({ length: 24 }, () => openTls(gateway)));
  for (const [i, socket] of sockets.entries()) socket.write(requestText(gateway, `POST /x?${i}`, text, "b"));
  // Two times five seconds: longer than `until` looks.
  let failed = 0;
  await gateway.event((one) => one.type === "access" && ++failed === 10);
  t.ok(gateway.records().every(({ failure }) => failure === "connect-timeout"));
  t.equal(gateway.events.filter((one) => one.type === "odoo-full").length, 0);
  t.match(gateway.running.queue(), { capacity: null, learnt: false, waiting: 0 });
  for (const socket of sockets) socket.destroy();
  await gateway.close();
  await odoo.close();
  await other.close();
});

t.test(
  "an Odoo that hangs from now on: who found it full is told that it did not connect, 504",
  async (t) => {
    const { odoo, gateway, burst, close } = await before(
      { backlog: 3, workMs: 0, never: "hang" },
      { QUEUE_TIMEOUT: "3s" },
    );
    t.ok((await burst(3, "before")).every(({ status }) => status === 200));
    const sockets = await Promise.all(Array.from({ length: 20 }, () => openTls(gateway)));
    for (const [i, socket] of sockets.entries())
      socket.write(requestText(gateway, `POST /hang?${i}`, text, "b"));
    await until(() => gateway.records().length >= 3 + 10);
    const rest = gateway.records().filter(({ target }) => target.startsWith("/hang"));
    t.ok(rest.every(({ status, failure }) => status === 504 && failure === "connect-timeout"));
    t.equal(gateway.events.filter((one) => one.type === "shed").length, 0);
    t.equal(servedOf(odoo, "hang").length, 1);
    for (const socket of sockets) socket.destroy();
    await close();
  },
);

t.test("without a stall nothing is bounded", async (t) => {
  const odoo = await startMember("odoo", { holds: true });
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    env: { TRUSTED_NETWORKS: "127.0.0.1" },
  });
  const sockets = await Promise.all(Array.from({ length: 40 }, () => openTls(gateway)));
  const all = sockets.map((socket, i) =>
    rawTalk(0, requestText(gateway, `POST /x?${i}`, text, "b"), { socket, timeoutMs: answerMsMax }),
  );
  await until(() => odoo.held.length === 40);
  t.match(gateway.running.queue(), { capacity: null, learnt: false, inFlight: 40, waiting: 0 });
  for (const one of [...odoo.held]) one.answer();
  for (const one of await Promise.all(all)) t.equal(one.status, 200);
  await gateway.close();
  await odoo.close();
});
