import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import { HstsRamp, hstsSteps } from "../../src/guard/hsts-ramp.ts";

const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-hsts-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
let count = 0;
const fresh = () => {
  count += 1;
  return join(folder, `hsts-${count}.json`);
};
const dayMs = 86_400_000;
const startMs = Date.UTC(2026, 10, 21);

function ramp(clock: ManualClock, path: string, isReader = false) {
  const faults: string[] = [];
  return { faults, it: new HstsRamp({ path, clock, isReader, fault: (detail) => faults.push(detail) }) };
}

t.test("minutes, a day, a month, and then what the settings say; a restart goes on", async (t) => {
  const clock = manualClock(startMs);
  const path = fresh();
  const seen: [day: number, seconds: number][] = [];
  for (let day = 0; day <= 40; day += 1) {
    // Each day another process.
    const { it } = ramp(clock, path);
    it.look();
    if (seen.at(-1)?.[1] !== it.secondsMax) seen.push([day, it.secondsMax]);
    clock.advance(dayMs);
  }
  t.same(seen, [
    [0, 300],
    [1, 86_400],
    [8, 30 * 86_400],
    [38, Number.POSITIVE_INFINITY],
  ]);
  t.equal(ramp(clock, path).it.secondsMax, 300, "short until it was looked at");
  t.equal(statSync(path).mode & 0o777, 0o600);
  t.same(
    readdirSync(folder).filter((name) => name.endsWith(".new")),
    [],
  );
});

t.test("it says when it grows, and tells once", async (t) => {
  const clock = manualClock(startMs);
  const { it } = ramp(clock, fresh());
  t.equal(it.look(), false);
  t.equal(it.nextWallMs, startMs + dayMs);
  clock.advance(dayMs - 1);
  t.equal(it.look(), false);
  clock.advance(1);
  t.equal(it.look(), true);
  t.equal(it.look(), false);
  t.equal(it.nextWallMs, startMs + 8 * dayMs);
});

t.test("a certificate that fails lets the days of its step count anew, and takes nothing back", async (t) => {
  const clock = manualClock(startMs);
  const path = fresh();
  const { it } = ramp(clock, path);
  it.look();
  clock.advance(dayMs);
  it.look();
  clock.advance(6 * dayMs);
  it.troubled();
  clock.advance(6 * dayMs);
  it.look();
  t.equal(it.secondsMax, 86_400);
  clock.advance(dayMs);
  it.look();
  t.equal(it.secondsMax, 30 * 86_400);
  clock.advance(30 * dayMs);
  it.look();
  it.troubled();
  t.equal(it.secondsMax, Number.POSITIVE_INFINITY, "what is over is over");
});

t.test("days before it was set do not count, and a jump of the clock is one step at most", async (t) => {
  const clock = manualClock(startMs);
  const path = fresh();
  const { it } = ramp(clock, path);
  it.troubled();
  t.throws(() => readFileSync(path), "nothing is written before it is set");
  clock.advance(100 * dayMs);
  it.look();
  t.equal(it.secondsMax, 300);
  clock.advance(10_000 * dayMs);
  for (let i = 0; i < 5; i += 1) it.look();
  t.equal(it.secondsMax, 86_400);
  const back = manualClock(startMs);
  const again = ramp(back, path).it;
  again.look();
  t.equal(again.secondsMax, 86_400);
  t.equal(again.nextWallMs, startMs + 7 * dayMs, "from today's date on");
});

t.test("a torn file begins anew", async (t) => {
  const clock = manualClock(startMs);
  for (const text of [
    "",
    "{",
    "[]",
    "null",
    '{"step":9,"since":"2026-01-01"}',
    '{"step":-1,"since":"2026-01-01"}',
    '{"step":1}',
    '{"step":1,"since":"soon"}',
    '{"step":1.5,"since":"2026-01-01"}',
  ]) {
    const path = fresh();
    writeFileSync(path, text);
    const { it } = ramp(clock, path);
    it.look();
    t.equal(it.secondsMax, 300, text);
    t.match(JSON.parse(readFileSync(path, "utf8")), { step: 0 }, "and is whole again");
  }
});

t.test("a disk that cannot be written is told once, and holds nothing up", async (t) => {
  const clock = manualClock(startMs);
  const { it, faults } = ramp(clock, join(folder, "missing", "hsts.json"));
  for (let day = 0; day < 3; day += 1) {
    it.look();
    clock.advance(dayMs);
  }
  it.look();
  t.equal(it.secondsMax, 86_400);
  t.equal(faults.length, 1);
  t.match(faults[0], /HSTS_RAMP begins anew at a restart/);
});

t.test("a worker reads what the supervisor wrote, and writes nothing", async (t) => {
  const clock = manualClock(startMs);
  const path = fresh();
  const { it } = ramp(clock, path);
  const reader = ramp(clock, path, true).it;
  reader.look();
  t.throws(() => readFileSync(path));
  it.look();
  t.equal(reader.look(), false);
  clock.advance(dayMs);
  t.equal(reader.look(), false, "it waits for the one that decides");
  it.look();
  t.equal(reader.look(), true);
  t.equal(reader.secondsMax, hstsSteps[1]?.seconds);
  reader.troubled();
  chmodSync(path, 0o600);
  t.match(JSON.parse(readFileSync(path, "utf8")), { since: new Date(startMs + dayMs).toISOString() });
});
