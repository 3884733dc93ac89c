/**
 * What a million addresses cost: each fails to log in once, at an account of its own. Prints the time of an attempt and the memory that stays, of
 * each table and of all; ends with 1 when it is more than `grownMiBMax`. Run: `npm run bench:addresses`.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { manualClock } from "../src/base/clock.ts";
import { BanTable } from "../src/guard/ban-table.ts";
import { Jail } from "../src/guard/jail.ts";
import { jailRules } from "../src/guard/jail-rules.ts";
import { createLimiter } from "../src/guard/limiter.ts";
import type { Limit } from "../src/policy/decision.ts";

const addresses = 1_000_000;
/** The bound that docs/performance.md states for all tables of the guard together. */
const grownMiBMax = 384;

setFlagsFromString("--expose-gc");
const collect: () => void = runInNewContext("gc");

function heapMiB(): number {
  collect();
  return process.memoryUsage().heapUsed / 2 ** 20;
}

const addressOf = (i: number) => `${1 + (i >> 16)}.${(i >> 8) & 255}.${i & 255}.9`;
const rows: string[] = [];

/** Runs one table through all addresses; what it holds stays reachable until the end. */
function measure(name: string, step: (i: number) => void): void {
  const before = heapMiB();
  const startedNs = process.hrtime.bigint();
  for (let i = 0; i < addresses; i += 1) step(i);
  const microseconds = Number(process.hrtime.bigint() - startedNs) / 1000 / addresses;
  const grown = heapMiB() - before;
  rows.push(
    `${name.padEnd(34)} ${microseconds.toFixed(2).padStart(6)} µs each  ${grown.toFixed(0).padStart(5)} MiB stay`,
  );
}

const rules = jailRules("standard");
if (rules === null) throw new Error("the standard rules are gone");
const clock = manualClock();
const jail = new Jail({ clock, news: { strike: () => {}, ban: () => {}, spared: () => {} } });
const limiter = createLimiter({ clock });
const bans = new BanTable();
const login: Limit = { name: "login", ratePerSecond: 5 / 60, burst: 5, key: "account", refund: true };
const loginAddress: Limit = {
  ...login,
  name: "login-address",
  ratePerSecond: 0.25,
  burst: 15,
  key: "client",
};

const started = heapMiB();
measure("jail: a failed log-in", (i) => {
  const address = addressOf(i);
  const account = `account${i}`;
  const attempt = { client: address, address, account, written: account, device: null };
  const entry = jail.enter(attempt, rules);
  if (!(entry instanceof Promise) && entry.kind === "go") entry.settle("failure");
});
measure("limits: of the address and the pair", (i) => {
  const keys = { address: addressOf(i), session: null, account: `account${i}` };
  const grant = limiter.check([login, loginAddress], keys);
  if (!(grant instanceof Promise) && grant.ok) grant.settle("failure");
});
measure("bans: each address banned", (i) => {
  bans.set({ address: addressOf(i), untilWallMs: 1e12 + i, reason: "pair", times: 1 });
});
const grown = heapMiB() - started;
for (const row of rows) console.log(row);
const bannedStill = bans.list(0).length;
console.log(
  `all together ${grown.toFixed(0)} MiB for ${addresses} addresses, ${bannedStill} bans held; bound ${grownMiBMax} MiB`,
);
if (jail.banOf(addressOf(0)) !== null || grown > grownMiBMax) process.exitCode = 1;
