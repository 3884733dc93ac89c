import type { Socket } from "node:net";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { slowStartMs } from "../../src/upstream/health.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { answerText, startMember, type TestMember } from "../support/member.ts";
import { h1, opened, recordOf, until, webSocket } from "./clients.ts";

/** A gateway in front of these members, with a clock that stands still. */
async function inFront(members: readonly TestMember[], env: Record<string, string> = {}) {
  const clock = manualClock(Date.now());
  const gateway = await startTestGateway({
    clock,
    env: {
      ODOO_URL: members.map(({ port }) => `http://127.0.0.1:${port}`).join(", "),
      HOLD_TIMEOUT: "0s",
      ...env,
    },
  });
  return { gateway, clock };
}

const json = ["Content-Type: application/json"];

function memberRow(gateway: TestGateway, port: number) {
  return gateway.events.filter(
    (one) => (one.type === "member-down" || one.type === "member-up") && one.member.endsWith(`:${port}`),
  );
}

t.test("requests go to all members, and to the least busy one first", async (t) => {
  const a = await startMember("a", { holds: true });
  const b = await startMember("b", { holds: true });
  const { gateway } = await inFront([a, b]);
  t.teardown(async () => {
    await gateway.close();
    await a.close();
    await b.close();
  });
  const answers = Array.from({ length: 6 }, (_, i) => h1(gateway, `GET /x?${i}`));
  await until(() => a.held.length === 3 && b.held.length === 3);
  for (const one of [...a.held]) one.answer();
  await until(() => gateway.records().length === 3);
  const more = Array.from({ length: 3 }, (_, i) => h1(gateway, `GET /y?${i}`));
  await until(() => a.held.length === 3);
  t.equal(b.held.length, 3, "b is still busy: the new ones went to a");
  for (const one of [...a.held, ...b.held]) one.answer();
  for (const answer of await Promise.all([...answers, ...more])) t.equal(answer.status, 200);
});

t.test("a member that goes away costs nobody an answer, whatever the method, and comes back", async (t) => {
  const a = await startMember("a");
  let b = await startMember("b");
  const { gateway, clock } = await inFront([a, b]);
  t.teardown(async () => {
    await gateway.close();
    await a.close();
    await b.close();
  });
  await b.close();
  for (let i = 0; i < 10; i += 1) {
    const [start, lines, body] = i % 2 === 0 ? (["GET", [], ""] as const) : (["POST", json, "{}"] as const);
    const answer = await h1(gateway, `${start} /x?${i}`, lines, body);
    t.equal(answer.status, 200, "nothing reached b, so a may have it");
    t.equal(answer.body, "a");
  }
  t.equal(a.asked.length, 10, "each once");
  t.match(memberRow(gateway, b.port), [{ type: "member-down", pool: "web" }]);
  const status: unknown = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)).json();
  t.match(status, {
    pools: [
      { name: "web", member: `127.0.0.1:${a.port}`, state: "in use", up: true },
      { name: "web", member: `127.0.0.1:${b.port}`, state: "down", up: false },
      {},
    ],
  });
  b = await startMember("b", { port: b.port });
  // The next round of probes finds it; until then no request is spent on finding out.
  await gateway.event((one) => one.type === "member-up");
  clock.advance(slowStartMs);
  const names = new Set<string>();
  for (let i = 0; i < 4; i += 1) names.add((await h1(gateway, `GET /again?${i}`)).body);
  t.same([...names].sort(), ["a", "b"]);
});

t.test("hung up on without a byte, a GET is asked of another member and a POST of none", async (t) => {
  const hangUp = (socket: Socket, line: string) => {
    if (line.startsWith("POST")) socket.destroy();
    else socket.end(answerText("fine"));
  };
  const a = await startMember("a", { instead: (socket) => socket.destroy() });
  const b = await startMember("b", { instead: hangUp });
  const { gateway } = await inFront([a, b]);
  t.teardown(async () => {
    await gateway.close();
    await a.close();
    await b.close();
  });
  for (let i = 0; i < 4; i += 1) {
    t.equal((await h1(gateway, `GET /get?${i}`)).body, "fine");
    t.equal((await h1(gateway, `POST /post?${i}`, json, "{}")).status, 502);
    t.equal((await recordOf(gateway, `/post?${i}`)).failure, "closed-without-answer");
  }
  t.ok(a.asked.length > 0, "a was tried");
  const sent = [...a.asked, ...b.asked].filter((line) => line.startsWith("POST"));
  t.equal(sent.length, 4, "what may change something is never sent twice");
});

t.test("no more than three members are tried, and all down is told", async (t) => {
  const members = await Promise.all(["a", "b", "c", "d"].map((name) => startMember(name)));
  const { gateway } = await inFront(members);
  t.teardown(() => gateway.close());
  for (const one of members) await one.close();
  const answer = await h1(gateway, "GET /x?all", ["Accept: text/html"]);
  t.equal(answer.status, 503);
  const down = gateway.events.filter((one) => one.type === "member-down").length;
  t.ok(down <= 4);
  t.equal((await recordOf(gateway, "/x?all")).failure, "connect-refused");
});

t.test("a backup is asked only when no member is up", async (t) => {
  const a = await startMember("a");
  const spare = await startMember("spare");
  const { gateway } = await inFront([a], { ODOO_BACKUP_URL: `http://127.0.0.1:${spare.port}` });
  t.teardown(async () => {
    await gateway.close();
    await spare.close();
  });
  for (let i = 0; i < 5; i += 1) t.equal((await h1(gateway, `GET /x?${i}`)).body, "a");
  await a.close();
  for (let i = 5; i < 10; i += 1) t.equal((await h1(gateway, `GET /x?${i}`)).body, "spare");
});

t.test("a session stays with its member when that is asked for", async (t) => {
  const members = await Promise.all(["a", "b", "c"].map((name) => startMember(name)));
  const { gateway } = await inFront(members, { ODOO_STICKY: "session" });
  t.teardown(async () => {
    await gateway.close();
    for (const one of members) await one.close();
  });
  const homes = new Set<string>();
  for (let n = 0; n < 12; n += 1) {
    const stem = `${n}`.padEnd(42, "s");
    const answers = new Set<string>();
    for (const end of ["a", "b", "c", "d"]) {
      const answer = await h1(gateway, `GET /x?${n}${end}`, [`Cookie: session_id=${stem}${end.repeat(42)}`]);
      answers.add(answer.body);
    }
    t.equal(answers.size, 1, "also when Odoo changes the end of its id");
    for (const one of answers) homes.add(one);
  }
  t.ok(homes.size > 1, "and not all sessions with the same member");
});

t.test("a name is followed when it moves, and all its addresses are used", async (t) => {
  const first = await startMember("first", { host: "127.0.0.1" });
  const second = await startMember("second", { host: "127.0.0.2", port: first.port });
  let zone: readonly string[] | null = ["127.0.0.1"];
  const gateway = await startTestGateway({
    env: { ODOO_URL: `http://odoo-members:${first.port}`, ODOO_RESOLVE: "1s" },
    lookup: async () => {
      if (zone === null) throw new Error("EAI_AGAIN");
      return zone.map((address) => ({ address, family: 4 }));
    },
  });
  t.teardown(async () => {
    await gateway.close();
    await first.close();
    await second.close();
  });
  t.equal((await h1(gateway, "GET /x?1")).body, "first");
  zone = ["127.0.0.1", "127.0.0.2"];
  const seen = new Set<string>();
  const addresses = () => gateway.running.members().filter(({ name }) => name === "web");
  await until(() => addresses().length === 2);
  for (let i = 0; i < 4; i += 1) seen.add((await h1(gateway, `GET /x?2${i}`)).body);
  t.same([...seen].sort(), ["first", "second"]);
  zone = ["127.0.0.2"];
  await until(() => addresses().length === 1);
  t.equal((await h1(gateway, "GET /x?3")).body, "second");
  zone = null;
  await gateway.event((one) => one.type === "warning" && one.what === "dns");
  t.equal((await h1(gateway, "GET /x?4")).body, "second", "DNS is gone, Odoo is not");
});

t.test("websockets are shared among bus members and counted as long as they are open", async (t) => {
  const gateway = await startTestGateway();
  const other = await startTestGateway();
  const both = await startTestGateway({
    env: {
      ODOO_BUS_URL: `http://127.0.0.1:${gateway.demo.busPort} http://127.0.0.1:${other.demo.busPort}`,
    },
  });
  t.teardown(async () => {
    for (const one of [both, gateway, other]) await one.close();
  });
  const sockets = [];
  for (let i = 0; i < 6; i += 1) sockets.push(await opened(webSocket(both)));
  t.equal(gateway.demo.stats.websockets, 3);
  t.equal(other.demo.stats.websockets, 3);
  const bus = () => both.running.members().filter(({ name }) => name === "bus");
  t.same(
    bus().map(({ inFlight }) => inFlight),
    [3, 3],
  );
  for (const one of sockets) one.terminate();
  await until(() => bus().every(({ inFlight }) => inFlight === 0));
});
