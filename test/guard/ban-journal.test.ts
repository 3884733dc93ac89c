import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  existsSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import t from "tap";
import { BanJournal, journalBytesMax } from "../../src/guard/ban-journal.ts";
import { type Ban, BanTable } from "../../src/guard/ban-table.ts";

const nowMs = 1_800_000_000_000;
const ban = (n: number, times = 1): Ban => ({
  address: `203.0.113.${n}`,
  untilWallMs: nowMs + 3_600_000 + n,
  reason: "pair",
  times,
});

function opened(path: string, write?: (fd: number, bytes: Buffer) => number) {
  const bans = new BanTable();
  const faults: string[] = [];
  const journal = new BanJournal({
    path,
    bans,
    wallMs: () => nowMs,
    fault: (detail) => void faults.push(detail),
    ...(write === undefined ? {} : { write }),
  });
  const set = (one: Ban) => {
    bans.set(one);
    journal.record(one);
  };
  return { bans, journal, faults, set, list: () => bans.list(nowMs).map((one) => one.address) };
}

t.test("bans and lifts come back after a restart, repetition included", (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  const first = opened(path);
  first.set(ban(1));
  first.set(ban(2, 3));
  first.set({ ...ban(3), address: "2001:db8:1:2::/64", reason: "scanner" });
  first.bans.delete("203.0.113.1");
  first.journal.lifted("203.0.113.1");
  first.journal.close();
  const second = opened(path);
  t.same(new Set(second.list()), new Set(["203.0.113.2", "2001:db8:1:2::/64"]));
  t.match(second.bans.holds("203.0.113.2", nowMs), { times: 3, reason: "pair" });
  t.same(second.faults, []);
  second.journal.close();
  t.end();
});

t.test(
  "killed at any byte of a write: every whole line counts, and the next ban is not glued to the torn one",
  (t) => {
    const path = join(t.testdir(), "bans.jsonl");
    const first = opened(path);
    first.set(ban(1));
    first.set(ban(2));
    first.journal.close();
    const bytes = readFileSync(path);
    const lineEnd = bytes.indexOf("\n") + 1;
    for (let cut = 0; cut <= bytes.length; cut += 1) {
      writeFileSync(path, bytes.subarray(0, cut));
      const again = opened(path);
      again.set(ban(9));
      again.journal.close();
      const last = opened(path);
      last.journal.close();
      // A line that lacks only its line feed is whole.
      const whole = [...(cut >= lineEnd - 1 ? [1] : []), ...(cut >= bytes.length - 1 ? [2] : []), 9];
      t.same(new Set(last.list()), new Set(whole.map((n) => `203.0.113.${n}`)), `cut at ${cut}`);
    }
    t.end();
  },
);

t.test(
  "a full disk: the ban holds in memory, the fault is told, and it is written with the next one",
  (t) => {
    const path = join(t.testdir(), "bans.jsonl");
    let full = true;
    const gateway = opened(path, (fd, bytes) => {
      if (!full) return writeSync(fd, bytes);
      writeSync(fd, bytes.subarray(0, 10));
      throw new Error("ENOSPC: no space left on device, write");
    });
    gateway.set(ban(1));
    t.same(gateway.list(), ["203.0.113.1"]);
    t.match(gateway.faults, [/ENOSPC.*bans hold in memory/]);
    full = false;
    gateway.set(ban(2));
    const again = opened(path);
    t.same(again.list(), ["203.0.113.2", "203.0.113.1"]);
    again.journal.close();
    full = true;
    gateway.set(ban(3));
    for (let n = 0; n < 1_200; n += 1) gateway.set({ ...ban(4), address: `10.0.${n >> 8}.${n & 255}` });
    full = false;
    gateway.journal.settle();
    gateway.journal.close();
    const third = opened(path);
    t.equal(third.list().length, 1_203, "more than is held back: the whole table is written");
    third.journal.close();
    const nowhere = opened(join(t.testdir(), "no", "folder", "bans.jsonl"));
    nowhere.set(ban(1));
    t.same(nowhere.list(), ["203.0.113.1"]);
    t.equal(nowhere.faults.length, 2);
    if (existsSync("/dev/full")) {
      const real = opened("/dev/full");
      real.set(ban(1));
      t.ok(real.faults.some((fault) => fault.includes("ENOSPC")));
      real.journal.close();
    }
    t.end();
  },
);

t.test("the file is bounded: it is written anew when most of it is history", (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  const first = opened(path);
  for (let i = 0; i < 3_000; i += 1) first.set(ban(i % 5, i + 1));
  const lines = readFileSync(path, "utf8").trim().split("\n").length;
  t.ok(lines < 1_100, `${lines} lines for five bans`);
  first.set(ban(7));
  first.journal.close();
  const again = opened(path);
  t.equal(again.list().length, 6);
  t.equal(again.bans.times("203.0.113.4", nowMs), 3_000);
  again.journal.close();
  t.end();
});

t.test("what is no entry of ours is passed over", (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  writeFileSync(
    path,
    [
      "null",
      "{}",
      '{"ban":"everybody","until":1900000000000,"reason":"pair","times":1}',
      '{"ban":"203.0.113.1/24","until":1900000000000,"reason":"pair","times":1}',
      '{"ban":"203.0.113.1","until":1e300,"reason":"pair","times":1}',
      '{"ban":"203.0.113.1","until":1800000360000,"reason":"x","times":1}',
      '{"ban":"203.0.113.1","until":1800000360000,"reason":"pair","times":0}',
      '{"ban":"203.0.113.2","until":1800000360000,"reason":"pair","times":1}',
      "",
    ].join("\n"),
  );
  const read = opened(path);
  t.same(read.list(), ["203.0.113.2"]);
  read.journal.close();
  t.end();
});

t.test("lines that are not ours are told, but not the one that a kill cut", (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  const first = opened(path);
  for (let n = 1; n <= 3; n += 1) first.set(ban(n));
  first.journal.close();
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.slice(0, -20));
  const cut = opened(path);
  t.same(cut.list().length, 2);
  cut.set(ban(3));
  cut.journal.close();
  const later = opened(path);
  t.same(later.list().length, 3);
  t.same([...cut.faults, ...later.faults], [], "nor when others stand behind it");
  later.journal.close();
  writeFileSync(path, `${text.replace("pair", "pear")}\u0000\u0000\n`);
  const strange = opened(path);
  t.same(strange.list().length, 2);
  t.same(strange.faults, [`${path}: 2 of 4 lines are not what we wrote; their bans are not known`]);
  strange.journal.close();
  t.end();
});

t.test("a file above the bound is written anew from what could be read of it", (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  const first = opened(path);
  first.set(ban(1));
  first.journal.close();
  truncateSync(path, journalBytesMax + 1_000);
  appendFileSync(
    path,
    `\n${JSON.stringify({ ban: "203.0.113.9", until: nowMs + 1, reason: "pair", times: 1 })}\n`,
  );
  const large = opened(path);
  t.same(large.list(), ["203.0.113.9"]);
  large.journal.close();
  t.ok(statSync(path).size < 1_000);
  t.end();
});

t.test("kill -9 while bans are written: all that were answered for are there", async (t) => {
  const path = join(t.testdir(), "bans.jsonl");
  const here = pathToFileURL(new URL("../../src/guard/", import.meta.url).pathname).href;
  const script = `
    const { BanJournal } = await import("${here}/ban-journal.js");
    const { BanTable } = await import("${here}/ban-table.js");
    const journal = new BanJournal({ path: ${JSON.stringify(path)}, bans: new BanTable(), wallMs: () => ${nowMs}, fault: console.error });
    for (let i = 0; ; i += 1) {
      journal.record({ address: "10." + (i >> 16) + "." + (i >> 8 & 255) + "." + (i & 255), untilWallMs: ${nowMs + 3_600_000}, reason: "pair", times: 1 });
      if (i === 500) process.stdout.write("running");
      if (i > 500) await new Promise((resolve) => setImmediate(resolve));
    }`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  child.kill("SIGKILL");
  await once(child, "close");
  const read = opened(path);
  t.ok(read.list().length >= 501, `${read.list().length} bans`);
  read.journal.close();
});
