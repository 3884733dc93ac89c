import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { freePort } from "../support/ports.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { h1 } from "./clients.ts";

const dayMs = 86_400_000;

/** What Odoo's pages and our own say. */
async function said(gateway: TestGateway): Promise<readonly string[]> {
  const answers = [await h1(gateway, "GET /web/login"), await h1(gateway, "GET /web/database/manager")];
  return answers.flatMap((answer) => valuesOf(answer, "strict-transport-security"));
}
const both = (seconds: number) => Array(2).fill(`max-age=${seconds}; includeSubDomains`);

t.test("with HSTS_RAMP a new site says five minutes, and a year when its days are over", async (t) => {
  const clock = manualClock(Date.now());
  const env: Record<string, string> = { HSTS_RAMP: "yes" };
  const gateway = await startTestGateway({ clock, env });
  t.teardown(() => gateway.close());
  t.same(await said(gateway), both(300));
  const told = () => gateway.events.filter(({ type }) => type === "hsts-ramp");
  t.match(told(), [{ maxAgeSeconds: 300, until: new Date(clock.wallMs() + dayMs).toISOString() }]);
  const revision = gateway.running.plan().revision;
  for (const [days, seconds] of [
    [1, 86_400],
    [7, 2_592_000],
    [30, 31_536_000],
  ] as const) {
    clock.advance(days * dayMs - 1);
    gateway.running.lookAtHsts();
    t.not((await said(gateway))[0], both(seconds)[0], "not a moment too early");
    clock.advance(1);
    gateway.running.lookAtHsts();
    t.same(await said(gateway), both(seconds));
  }
  t.match(told().at(-1), { maxAgeSeconds: 31_536_000, until: null });
  t.equal(told().length, 4);
  t.equal(gateway.running.plan().revision, revision, "it is the same plan");
  env["HSTS_RAMP"] = "no";
  t.same(await gateway.running.reload(), []);
  t.same(await said(gateway), both(31_536_000));
});

t.test("it can be set at a reload, and HSTS_MAX_AGE stays the most that is said", async (t) => {
  const clock = manualClock(Date.now());
  const env: Record<string, string> = { HSTS_MAX_AGE: "7d" };
  const gateway = await startTestGateway({ clock, env });
  t.teardown(() => gateway.close());
  t.same(await said(gateway), both(604_800));
  env["HSTS_RAMP"] = "yes";
  clock.advance(3 * dayMs);
  t.same(await gateway.running.reload(), []);
  t.same(await said(gateway), both(300), "the days before do not count");
  clock.advance(dayMs);
  gateway.running.lookAtHsts();
  clock.advance(7 * dayMs);
  gateway.running.lookAtHsts();
  t.same(await said(gateway), both(604_800));
});

t.test("a certificate that cannot be had lets the days of the step count anew", async (t) => {
  const clock = manualClock(Date.now());
  const state = mkdtempSync(join(tmpdir(), "odoo-gateway-hsts-state-"));
  t.teardown(() => rmSync(state, { recursive: true, force: true }));
  const path = join(state, "hsts.json");
  const six = new Date(clock.wallMs() - 6 * dayMs).toISOString();
  writeFileSync(path, JSON.stringify({ step: 1, since: six }));
  const gateway = await startTestGateway({
    clock,
    env: {
      HSTS_RAMP: "yes",
      STATE_DIR: state,
      TLS_MODE: "acme",
      ACME_DIRECTORY: `https://127.0.0.1:${await freePort()}/directory`,
    },
  });
  t.teardown(() => gateway.close());
  await gateway.event(({ type }) => type === "certificate-failed");
  t.same(JSON.parse(readFileSync(path, "utf8")), { step: 1, since: new Date(clock.wallMs()).toISOString() });
});
