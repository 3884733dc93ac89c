import t from "tap";
import type { ExchangeId } from "../../src/base/brands.ts";
import { manualClock } from "../../src/base/clock.ts";
import type { FromWorker, ToWorker } from "../../src/cluster/messages.ts";
import { Owner } from "../../src/cluster/owner.ts";
import { OwnerLink } from "../../src/cluster/owner-link.ts";
import { RemoteJail } from "../../src/cluster/remote-jail.ts";
import { RemoteLimiter } from "../../src/cluster/remote-limiter.ts";
import { BanTable } from "../../src/guard/ban-table.ts";
import { CspReports } from "../../src/guard/csp-reports.ts";
import { Jail } from "../../src/guard/jail.ts";
import { jailRules } from "../../src/guard/jail-rules.ts";
import { createLimiter, type LimitKeys } from "../../src/guard/limiter.ts";
import { PendingAccounts } from "../../src/guard/pending-accounts.ts";
import type { Sighting } from "../../src/guard/session-sightings.ts";
import { KnownSessions } from "../../src/guard/sessions.ts";
import { SharedPeers } from "../../src/guard/shared-peers.ts";
import type { Limit } from "../../src/policy/decision.ts";

const wide: Limit = { name: "wide", ratePerSecond: 100, burst: 199, key: "client", refund: false };
const login: Limit = { name: "login", ratePerSecond: 5 / 60, burst: 4, key: "client", refund: true };
const keys: LimitKeys = { address: "203.0.113.9", session: null, account: null };

/** An owner and two workers whose channels are two arrays of JSON, as real ones are text. */
function setUp() {
  const clock = manualClock();
  const secret = Buffer.alloc(32, 7);
  const sessions = new KnownSessions(secret);
  const jail = new Jail({ clock, news: { strike() {}, ban() {}, spared() {} }, later: () => () => {} });
  const sightings: Sighting[] = [];
  const owner = new Owner({
    limiter: createLimiter({ clock, later: () => () => {} }),
    jail,
    sessions,
    pendingAccounts: new PendingAccounts(),
    sessionTrails: { saw: (sighting) => sightings.push(sighting) },
    sharedPeers: new SharedPeers(),
    cspReports: new CspReports({ clock, secret, news: () => {} }),
    jailRules: () => jailRules("standard"),
    lookAtBus: () => {},
  });
  let asked = 0;
  const worker = () => {
    const seat = owner.seat((message) => setImmediate(() => hear(copy(message))));
    const link = new OwnerLink((message) => {
      asked += 1;
      const sent = copy(message);
      if (sent.type === "batch") setImmediate(() => seat.take(sent.items));
    });
    const limiter = new RemoteLimiter(link, clock);
    const known = new KnownSessions(secret, undefined, (key, isKnown) =>
      link.tell({ tell: "session", key, known: isKnown }),
    );
    const hear = (message: ToWorker) => {
      if (message.type === "replies") link.replied(message.replies);
      else if (message.type === "recall") limiter.recall(message.limit, message.key);
      else if (message.type === "sessions") for (const key of message.keys) known.mirror(key, message.known);
    };
    return { seat, link, limiter, known, jail: new RemoteJail(link, new BanTable(), clock) };
  };
  return {
    clock,
    owner,
    jail,
    sessions,
    sightings,
    workers: [worker(), worker()] as const,
    asked: () => asked,
  };
}

function copy<T extends ToWorker | FromWorker>(message: T): T {
  return JSON.parse(JSON.stringify(message));
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const turns = async () => {
  for (let i = 0; i < 6; i += 1) await turn();
};

t.test("a wide limit is exact over two workers, and most requests ask nobody", async (t) => {
  const { workers, asked, clock } = setUp();
  let passed = 0;
  for (let i = 0; i < 300; i += 1) {
    // Nine of ten come by one worker, so that the other holds points it does not use.
    const { limiter } = workers[i % 10 === 0 ? 1 : 0];
    if ((await limiter.check([wide], keys)).ok) passed += 1;
  }
  t.equal(passed, 200);
  t.ok(asked() < 200, `${asked()} messages for 300 requests`);
  clock.advance(1_000);
  passed = 0;
  for (let i = 0; i < 150; i += 1)
    if ((await workers[i % 2 === 0 ? 1 : 0].limiter.check([wide], keys)).ok) passed += 1;
  t.equal(passed, 100, "a second later as many more as drained");
});

t.test("where a session was seen is judged in one place, whichever worker saw it", async (t) => {
  const { workers, sightings } = setUp();
  const sighting = (network: string): Sighting => ({
    id: "x-1" as ExchangeId,
    client: "203.0.113.9",
    session: "hash",
    account: null,
    network,
    family: 4,
    agent: "Chrome on Windows",
  });
  workers[0].link.mention({ tell: "sighting", sighting: sighting("203.0.113.0/24") });
  workers[1].link.mention({ tell: "sighting", sighting: sighting("198.51.100.0/24") });
  await turns();
  t.same(
    sightings.map(({ network }) => network),
    ["203.0.113.0/24", "198.51.100.0/24"],
  );
});

t.test("asked all at once, a narrow limit is exact too", async (t) => {
  const narrow: Limit = { ...wide, name: "narrow", burst: 5 };
  for (let round = 0; round < 20; round += 1) {
    const { workers } = setUp();
    const asked = Array.from({ length: 24 }, (_, i) =>
      workers[(i * (round + 1)) % 3 === 0 ? 0 : 1].limiter.check([narrow, wide], keys),
    );
    t.equal((await Promise.all(asked)).filter(({ ok }) => ok).length, 6);
  }
});

t.test("points that a worker holds when it ends are lost to nobody for longer than they drain", async (t) => {
  const { workers, clock } = setUp();
  const [first, second] = workers;
  await first.limiter.check([wide], keys);
  first.seat.end();
  let passed = 0;
  for (let i = 0; i < 300; i += 1) if ((await second.limiter.check([wide], keys)).ok) passed += 1;
  t.ok(passed >= 199 - 32 && passed < 200, `${passed}`);
  clock.advance(10_000);
  t.ok((await second.limiter.check([wide], keys)).ok);
});

t.test("attempts in flight count in both workers; a right password gives its point back", async (t) => {
  const { workers } = setUp();
  const [first, second] = workers;
  const grants = await Promise.all(
    [1, 2, 3, 4, 5].map((i) => (i % 2 === 0 ? first : second).limiter.check([login], keys)),
  );
  t.ok(grants.every(({ ok }) => ok));
  let sixth: boolean | null = null;
  void Promise.resolve(second.limiter.check([login], keys)).then((answer) => {
    sixth = answer.ok;
  });
  await turns();
  t.equal(sixth, null, "it waits for those under way");
  const [grant] = grants;
  if (grant?.ok === true) grant.settle("success");
  await turns();
  t.equal(sixth, true);
});

t.test("what a worker that breaks had under way is over", async (t) => {
  const { workers, owner, jail } = setUp();
  const [first, second] = workers;
  const attempt = { client: "203.0.113.9", address: "203.0.113.9", account: "a", written: "a", device: null };
  const entries = await Promise.all([1, 2, 3, 4, 5].map(() => first.jail.enter(attempt)));
  t.ok(entries.every(({ kind }) => kind === "go"));
  let late: string | null = null;
  void second.jail.enter(attempt).then(({ kind }) => {
    late = kind;
  });
  await turns();
  t.equal(late, null, "a sixth guess waits, whatever worker it comes by");
  t.ok(owner.takeTunnel("203.0.113.9", 2));
  first.seat.end();
  await turns();
  t.equal(late, "go");
  t.equal(jail.banOf("203.0.113.9"), null);
});

t.test("a session that one worker saw log in is known to all, and a log-out too", async (t) => {
  const { workers, sessions } = setUp();
  const [first, second] = workers;
  const id = "s".repeat(60);
  first.known.learn(id);
  await turns();
  t.ok(second.known.isKnown(id));
  t.ok(sessions.isKnown(id));
  t.equal(second.known.keyOf(id), first.known.keyOf(id));
});

t.test("a worker learns of the ban that its own attempt brought before it answers", async (t) => {
  const { workers } = setUp();
  const [first, second] = workers;
  const attempt = { client: "203.0.113.9", address: "203.0.113.9", account: "a", written: "a", device: null };
  for (let i = 1; i <= 5; i += 1) {
    const { jail } = i % 2 === 0 ? first : second;
    const entry = await jail.enter(attempt);
    t.equal(entry.kind, "go");
    if (entry.kind === "go") entry.settle("failure");
    t.match(await jail.banAfter(attempt.address), i < 5 ? null : { reason: "pair", times: 1 }, `${i}`);
  }
  first.link.lose();
  t.equal(await first.jail.banAfter("203.0.113.10"), null, "without a supervisor the answer goes out");
});

t.test("without a supervisor nothing is granted", async (t) => {
  const { workers } = setUp();
  const [first] = workers;
  const waiting = first.limiter.check([login], keys);
  first.link.lose();
  t.notOk((await waiting).ok);
  t.notOk((await first.limiter.check([wide], keys)).ok);
  t.equal(
    (await first.jail.enter({ client: "", address: "x", account: null, written: null, device: null })).kind,
    "slow",
  );
});
