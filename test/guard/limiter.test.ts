import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import {
  createLimiter,
  type Exhausted,
  type Grant,
  type LimitKeys,
  waitersPerKeyMax,
  waitMsMax,
} from "../../src/guard/limiter.ts";
import type { Limit } from "../../src/policy/decision.ts";

const login: Limit = { name: "login", ratePerSecond: 5 / 60, burst: 5, key: "client", refund: true };
const everything: Limit = {
  name: "everything",
  ratePerSecond: 100,
  burst: 100,
  key: "client",
  refund: false,
};
const session: Limit = { name: "session", ratePerSecond: 1, burst: 0, key: "session", refund: false };
const office = { address: "203.0.113.9", session: null, account: null };

function setUp() {
  const clock = manualClock();
  const timers: { ms: number; then: () => void; off: boolean }[] = [];
  const limiter = createLimiter({
    clock,
    later: (ms, then) => {
      const timer = { ms, then, off: false };
      timers.push(timer);
      return () => {
        timer.off = true;
      };
    },
  });
  const checkNow = (limits: readonly Limit[], keys: LimitKeys = office) => {
    const answer = limiter.check(limits, keys);
    if (answer instanceof Promise) throw new Error("answered later");
    return answer;
  };
  /** Every attempt that was let in, in order, and every refusal; later answers come in when promises ran. */
  const attempt = (
    granted: Grant[],
    refused: Exhausted[],
    limits: readonly Limit[] = [login, everything],
  ) => {
    const note = (answer: Grant | Exhausted) =>
      void (answer.ok ? granted.push(answer) : refused.push(answer));
    const answer = limiter.check(limits, office);
    if (answer instanceof Promise) void answer.then(note);
    else note(answer);
  };
  return { clock, timers, limiter, checkNow, attempt };
}

const settleAll = () => new Promise<void>((resolve) => setImmediate(resolve));

t.test("thirty people behind one address who log in rightly at once all get in", async (t) => {
  const { attempt, limiter } = setUp();
  const granted: Grant[] = [];
  const refused: Exhausted[] = [];
  for (let i = 0; i < 30; i += 1) attempt(granted, refused);
  t.equal(granted.length, 6);
  t.equal(limiter.waiting, 24);
  for (let done = 0; done < 30; done += 1) {
    const grant = granted[done];
    if (grant === undefined) throw new Error(`only ${granted.length} were let in`);
    grant.settle("success");
    grant.settle("success");
    await settleAll();
    t.ok(granted.length - done - 1 <= 6, "never more than six with Odoo");
  }
  t.equal(refused.length, 0);
  t.equal(limiter.waiting, 0);
});

t.test("a hundred wrong passwords at once get six tries", async (t) => {
  const { attempt, limiter } = setUp();
  const granted: Grant[] = [];
  const refused: Exhausted[] = [];
  for (let i = 0; i < 100; i += 1) attempt(granted, refused);
  t.equal(granted.length, 6);
  t.equal(limiter.waiting, waitersPerKeyMax);
  t.equal(refused.length, 100 - 6 - waitersPerKeyMax, "those over the bound are refused at once");
  for (const grant of granted) grant.settle("failure");
  await settleAll();
  t.equal(granted.length, 6);
  t.equal(refused.length, 94);
  t.match(refused[0], { limit: "login", retryAfterSeconds: 13 }, "one point at nginx's 83/1000 a second");
  t.equal(limiter.waiting, 0);
});

t.test("an unknown outcome keeps the point, an attempt that was never sent gives it back", async (t) => {
  const { checkNow } = setUp();
  const limits = [{ ...login, burst: 0 }];
  const first = checkNow(limits);
  if (first.ok) first.settle("unsent");
  const second = checkNow(limits);
  t.equal(second.ok, true);
  if (second.ok) second.settle("unknown");
  t.equal(checkNow(limits).ok, false);
  if (first.ok) first.settle("success");
  t.equal(checkNow(limits).ok, false, "settling twice gives nothing");
});

t.test("nobody waits for ever: after ten seconds an attempt is answered as things are", async (t) => {
  const { attempt, timers, clock } = setUp();
  const granted: Grant[] = [];
  const refused: Exhausted[] = [];
  for (let i = 0; i < 8; i += 1) attempt(granted, refused);
  t.same(
    timers.map(({ ms }) => ms),
    [waitMsMax, waitMsMax],
  );
  timers[0]?.then();
  await settleAll();
  t.equal(refused.length, 1);
  clock.advance(13_000);
  timers[1]?.then();
  await settleAll();
  t.equal(granted.length, 7, "a point that came with time is taken");
  granted[0]?.settle("success");
  await settleAll();
  t.equal(granted.length, 7);
});

t.test("a waiting attempt is let in or refused once, and its timer called off", async (t) => {
  const { attempt, timers } = setUp();
  const granted: Grant[] = [];
  const refused: Exhausted[] = [];
  for (let i = 0; i < 7; i += 1) attempt(granted, refused);
  granted[0]?.settle("success");
  await settleAll();
  t.equal(granted.length, 7);
  t.equal(timers[0]?.off, true);
  timers[0]?.then();
  await settleAll();
  t.equal(granted.length + refused.length, 7);
});

t.test("one limit that refuses leaves the points of the others", (t) => {
  const { checkNow, clock } = setUp();
  const wide: Limit = { ...everything, name: "wide", ratePerSecond: 1, burst: 2 };
  const narrow: Limit = { ...everything, name: "narrow", ratePerSecond: 1, burst: 0 };
  t.equal(checkNow([wide, narrow]).ok, true);
  for (let i = 0; i < 20; i += 1)
    t.match(checkNow([wide, narrow]), { ok: false, limit: "narrow", retryAfterSeconds: 1 });
  t.same([checkNow([wide]).ok, checkNow([wide]).ok, checkNow([wide]).ok], [true, true, false]);
  clock.advance(1_000);
  t.equal(checkNow([wide, narrow]).ok, true);
  t.end();
});

t.test("a limit without refund answers at once and with one shared object", (t) => {
  const { checkNow } = setUp();
  const first = checkNow([everything]);
  t.equal(checkNow([everything]), first);
  t.equal(checkNow([]), first);
  t.end();
});

t.test("a known session has a limit of its own, anonymous ones share their address's", (t) => {
  const { checkNow } = setUp();
  const key = (value: string | null) => checkNow([session], { ...office, session: value }).ok;
  t.same([key("anna"), key("anna"), key("bob"), key(null), key(null)], [true, false, true, true, false]);
  const client = { ...session, key: "client" as const, name: "c" };
  t.equal(checkNow([client], { ...office, address: "a.b", session: "anna" }).ok, true);
  t.equal(checkNow([client], { ...office, address: "a.b", session: "bob" }).ok, false);
  t.end();
});

t.test(
  "each account of an address has a limit of its own, attempts that name none share the address's",
  (t) => {
    const { checkNow } = setUp();
    const pair: Limit = { ...session, key: "account" };
    const key = (address: string, account: string | null) =>
      checkNow([pair], { ...office, address, account }).ok;
    t.same(
      [key("a", "anna"), key("a", "anna"), key("a", "bob"), key("b", "anna")],
      [true, false, true, true],
    );
    t.same([key("a", null), key("a", null)], [true, false]);
    t.end();
  },
);

t.test("a reload with the same limit forgets nothing, a changed one starts anew", (t) => {
  const { checkNow } = setUp();
  const one: Limit = { ...everything, burst: 0, ratePerSecond: 1 };
  t.equal(checkNow([one]).ok, true);
  t.equal(checkNow([{ ...one }]).ok, false);
  t.equal(checkNow([{ ...one, burst: 1 }]).ok, true);
  t.end();
});
