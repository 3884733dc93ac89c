import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { parseYaml } from "../../src/base/yaml-positions.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { createLog } from "../../src/observe/log-pino.ts";

const docs = join(packageRoot().directory, "docs");

function linesOf(...events: readonly GatewayEvent[]): string[] {
  const lines: string[] = [];
  const clock = manualClock(Date.UTC(2026, 10, 21, 5, 41, 12, 345));
  const log = createLog({
    level: "info",
    format: "json",
    clock,
    destination: { write: (line) => void lines.push(line) },
  });
  for (const event of events) log.emit(event);
  return lines;
}

const strike = (client: string): GatewayEvent => ({
  type: "strike",
  client,
  why: "login",
  account: null,
  marks: 5,
});
const until = "2026-11-21T07:41:12.345Z";
const ban: GatewayEvent = { type: "ban", client: "2001:db8:1:2::/64", why: "pair", until, times: 1 };
/** Everything a client can put into a line of ours. */
const forged: GatewayEvent = {
  type: "unknown-host",
  client: "203.0.113.9",
  host: '","event":"strike","stream":"security","client":"198.51.100.1","x":"',
};

t.test("strike and ban lines are what ban tools were told they are", (t) => {
  const time = '"time":"2026-11-21T05:41:12.345Z"';
  t.same(linesOf(strike("203.0.113.9"), ban), [
    `{"level":"warn",${time},"event":"strike","stream":"security","client":"203.0.113.9","why":"login","account":null,"marks":5}\n`,
    `{"level":"warn",${time},"event":"ban","stream":"security","client":"2001:db8:1:2::/64","why":"pair","until":"${until}","times":1}\n`,
  ]);
  t.end();
});

const filter = join(docs, "fail2ban", "filter.d", "odoo-gateway.conf");

t.test("the fail2ban filter finds strikes, and nothing a client writes", (t) => {
  const expression = /^failregex = (.*)$/m.exec(readFileSync(filter, "utf8"))?.[1] ?? "";
  const regex = new RegExp(expression.replace("<ADDR>", "([0-9a-f.:]+)"));
  const [v4 = "", v6 = "", other = "", fake = ""] = linesOf(
    strike("203.0.113.9"),
    strike("2001:db8::9"),
    ban,
    forged,
  );
  t.equal(regex.exec(v4)?.[1], "203.0.113.9");
  t.equal(regex.exec(v6)?.[1], "2001:db8::9");
  t.notOk(regex.test(other));
  t.notOk(regex.test(fake), fake);
  t.end();
});

const tool = process.env["FAIL2BAN_REGEX"] ?? "fail2ban-regex";
const missing =
  spawnSync(tool, ["--version"]).error === undefined ? false : "fail2ban-regex is not installed";

t.test("Debian's fail2ban-regex agrees", { skip: missing }, (t) => {
  const log = join(t.testdir(), "gateway.log");
  writeFileSync(log, linesOf(strike("203.0.113.9"), strike("2001:db8::9"), ban, forged).join(""));
  const run = spawnSync(tool, [log, filter], { encoding: "utf8" });
  t.match(run.stdout, /Lines: 4 lines, 0 ignored, 2 matched, 2 missed/);
  t.end();
});

t.test("the CrowdSec files are YAML and name the fields of a strike", (t) => {
  const [line = "{}"] = linesOf(strike("203.0.113.9"));
  const fields = Object.keys(JSON.parse(line));
  for (const name of ["odoo-gateway-parser.yaml", "odoo-gateway-scenario.yaml"]) {
    const text = readFileSync(join(docs, "crowdsec", name), "utf8");
    t.equal(parseYaml(text).ok, true, name);
    for (const [, field = ""] of text.matchAll(/Unmarshaled\.gateway\.(\w+)/g))
      t.ok(fields.includes(field), field);
  }
  t.end();
});
