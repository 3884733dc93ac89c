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

/** A map of a YAML file, or nothing. */
function mapAt(value: unknown, key: string): Readonly<Record<string, unknown>> {
  const inner: unknown = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return typeof inner === "object" && inner !== null ? { ...inner } : {};
}

function textAt(value: unknown, key: string): string {
  const text: unknown = typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
  return typeof text === "string" ? text : "";
}

function crowdsec(name: string): unknown {
  const read = parseYaml(readFileSync(join(docs, "crowdsec", name), "utf8"));
  return read.ok ? read.value.value : null;
}

/**
 * CrowdSec itself is not at hand. Its parser is read for what it is: a filter of two parts and fields taken from the parsed line; the same is
 * done here with real lines, so that a renamed field, another event or a filter that no longer says so fails.
 */
t.test(
  "what the CrowdSec parser takes from a strike is an address, a time and a kind; from other lines nothing",
  (t) => {
    const node = mapAt(mapAt(crowdsec("odoo-gateway-parser.yaml"), "nodes"), "0");
    const filter = textAt(node, "filter");
    const wanted =
      /^UnmarshalJSON\(evt\.Line\.Raw, evt\.Unmarshaled, "gateway"\) in \["", nil\] && evt\.Unmarshaled\.gateway\.(\w+) == "(\w+)"$/.exec(
        filter,
      );
    t.not(wanted, null, filter);
    const statics = Object.values(mapAt(node, "statics"));
    const takes = (line: string): Record<string, unknown> | null => {
      const gateway: unknown = JSON.parse(line);
      if (textAt(gateway, wanted?.[1] ?? "") !== wanted?.[2]) return null;
      return Object.fromEntries(
        statics.map((one) => {
          const name = textAt(one, "target") || textAt(one, "meta");
          const field = /^evt\.Unmarshaled\.gateway\.(\w+)$/.exec(textAt(one, "expression"))?.[1];
          return [name, field === undefined ? textAt(one, "value") : textAt(gateway, field)];
        }),
      );
    };
    const [v4 = "", v6 = "", other = "", fake = ""] = linesOf(
      strike("203.0.113.9"),
      strike("2001:db8::9"),
      ban,
      forged,
    );
    t.same(takes(v4), {
      "evt.StrTime": "2026-11-21T05:41:12.345Z",
      log_type: "odoo_gateway_strike",
      source_ip: "203.0.113.9",
      strike_why: "login",
    });
    t.equal(takes(v6)?.["source_ip"], "2001:db8::9");
    t.same([takes(other), takes(fake)], [null, null]);
    const scenario = crowdsec("odoo-gateway-scenario.yaml");
    t.equal(textAt(scenario, "filter"), "evt.Meta.log_type == 'odoo_gateway_strike'");
    t.equal(textAt(scenario, "groupby"), "evt.Meta.source_ip");
    t.equal(textAt(scenario, "type"), "leaky");
    t.end();
  },
);
