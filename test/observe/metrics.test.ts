import { execFileSync, spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parse } from "yaml";
import { packageRoot } from "../../src/base/package-root.ts";
import type { AccessRecord } from "../../src/observe/events.ts";
import { SecondsHistogram } from "../../src/observe/histogram.ts";
import { LoopDelay } from "../../src/observe/loop-delay.ts";
import { seriesMax } from "../../src/observe/metrics.ts";
import { createMetricsPage } from "../../src/observe/metrics-prom.ts";
import { createTally, talliedRulesMax } from "../../src/observe/tally.ts";
import { h1, opened, until, webSocket } from "../exchange/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";

const root = packageRoot().directory;
const read = (path: string) => readFileSync(join(root, path), "utf8");

async function scrape(gateway: TestGateway): Promise<string> {
  const head = `GET /metrics HTTP/1.1\r\nHost: 127.0.0.1:${gateway.adminPort}\r\nConnection: close\r\n\r\n`;
  const answer = await rawTalk(gateway.adminPort, head);
  if (answer.status !== 200) throw new Error(`status ${answer.status}`);
  return answer.body;
}

/** Series of an answer, name and labels as written, with their values. */
function series(text: string): Map<string, number> {
  const found = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue;
    const at = line.lastIndexOf(" ");
    found.set(line.slice(0, at), Number(line.slice(at + 1)));
  }
  return found;
}

/** Names of metrics in an expression of Prometheus: words that are no function, keyword, label or text. */
function metricsIn(expression: string): string[] {
  const bare = expression
    .replace(/"[^"]*"/g, '""')
    .replace(/\{[^}]*\}/g, "")
    .replace(/\b(?:by|on|without|ignoring)\s*\([^)]*\)/g, "");
  return [...bare.matchAll(/\b((?:odoo_gateway|nodejs|process)_[a-z0-9_]+)\b/g)].map(([, name = ""]) => name);
}

t.test("a scrape tells what happened, in the text format of Prometheus", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  t.equal((await h1(gateway, "GET /web/login")).status, 200);
  t.equal((await h1(gateway, "GET /web/database/manager")).status, 404);
  t.equal((await h1(gateway, "GET /a/../b")).status, 400);
  const socket = await opened(webSocket(gateway));
  t.teardown(() => socket.terminate());
  await until(() => gateway.running.gateway.tunnels === 1 && gateway.records().length === 3);
  const text = await scrape(gateway);
  const found = series(text);
  const value = (name: string) => found.get(name);
  t.equal(value('odoo_gateway_exchanges_total{rule="target-dot-segment",status="4xx"}'), 1);
  t.equal(value('odoo_gateway_refused_total{code="target-dot-segment"}'), 1);
  t.ok([...found.keys()].some((key) => key.startsWith('odoo_gateway_denied_total{rule="database')));
  t.equal(value('odoo_gateway_verdicts_total{verdict="forward"}'), 1);
  t.equal(value("odoo_gateway_tunnels"), 1);
  t.equal(value('odoo_gateway_exchange_odoo_seconds_count{lane="login"}'), 1);
  t.equal(value("odoo_gateway_exchange_gateway_seconds_count"), 3);
  t.equal(value('odoo_gateway_exchange_gateway_seconds_bucket{le="+Inf"}'), 3);
  t.equal(value('odoo_gateway_connections{listener="https"}'), 1);
  t.ok((value('odoo_gateway_certificate_days_left{name="odoo.test"}') ?? 0) > 80);
  t.equal(value("odoo_gateway_ready"), 1);
  t.ok((value("nodejs_eventloop_lag_p99_seconds") ?? -1) >= 0);
  t.ok((value("process_resident_memory_bytes") ?? 0) > 1e6);
  for (const [key, number] of found) t.ok(Number.isFinite(number) || key.includes("nodejs"), key);
  t.notMatch(text, /127\.0\.0\.1:(?!\d+"\})|\/web\//, "no client, no path");

  t.equal((await h1(gateway, "GET /web/login")).status, 200);
  await until(() => gateway.records().length === 4);
  const later = series(await scrape(gateway));
  t.equal(later.get('odoo_gateway_verdicts_total{verdict="forward"}'), 2, "a second scrape goes on counting");
  if (hasPromtool()) {
    const { stderr } = spawnSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8" });
    // Days are what people read; the same moment stands beside it in seconds.
    const lines = stderr.split("\n").filter((line) => /odoo_gateway/.test(line) && !/_days_left/.test(line));
    t.same(lines, []);
  } else t.comment("promtool is not here: its own check of the text was left out");
});

t.test("files in memory, the queue, its lanes and the process have their figures", async (t) => {
  const gateway = await startTestGateway({ env: { ODOO_WORKERS: "1", QUEUE_TIMEOUT: "5m" } });
  t.teardown(() => gateway.close());
  const agent = ["User-Agent: Mozilla/5.0 (test)"];
  const page = await h1(gateway, "GET /web/login", agent);
  const asset = /"(\/web\/assets\/[^"]+\.js)"/.exec(page.body)?.[1] ?? "";
  for (let i = 0; i < 2; i += 1) t.equal((await h1(gateway, `GET ${asset}`, agent)).status, 200);
  const slow = h1(gateway, "GET /demo/slow?ms=400", agent);
  await until(() => gateway.running.queue().inFlight === 1);
  const behind = h1(gateway, "GET /demo/echo", agent);
  await until(() => gateway.running.queue().waiting === 1);
  const now = series(await scrape(gateway));
  t.equal(now.get('odoo_gateway_lane_requests{lane="site",state="odoo"}'), 1);
  t.equal(now.get('odoo_gateway_lane_requests{lane="site",state="waiting"}'), 1);
  t.equal(now.get("odoo_gateway_held"), 0);
  await Promise.all([slow, behind]);
  await until(() => gateway.records().length === 5);
  const later = series(await scrape(gateway));
  t.equal(later.get("odoo_gateway_exchange_queue_seconds_count"), 1);
  t.equal(
    later.get('odoo_gateway_exchange_odoo_seconds_bucket{le="+Inf",lane="site"}'),
    3,
    "the file, slow and echo",
  );
  t.equal(later.get('odoo_gateway_exchange_odoo_seconds_count{lane="login"}'), 1);
  t.equal(later.get('odoo_gateway_cache_total{cache="miss"}'), 1);
  t.equal(later.get('odoo_gateway_cache_total{cache="hit"}'), 1);
  t.equal(later.get("odoo_gateway_cache_entries"), 1);
  t.ok((later.get("odoo_gateway_cache_bytes") ?? 0) > 100);
  t.equal(later.get("odoo_gateway_cache_max_bytes"), 256 * 1024 * 1024);
  t.equal(later.get('odoo_gateway_processes{state="ready"}'), 1);
  t.equal(later.get('odoo_gateway_processes{state="starting"}'), 0);
  t.ok((later.get("odoo_gateway_resident_memory_bytes") ?? 0) > 1e7);
  t.ok((later.get("odoo_gateway_event_loop_delay_p99_seconds") ?? -1) >= 0);
});

t.test("the event loop's delay is that of the last two windows, whoever reads it", async (t) => {
  let p99Ms = 220;
  const delay = new LoopDelay({
    get count() {
      return p99Ms === 0 ? 0 : 1;
    },
    percentile: () => p99Ms * 1e6,
    reset: () => {
      p99Ms = 0;
    },
    enable: () => true,
    disable: () => true,
  });
  t.teardown(() => delay.close());
  t.same(
    [delay.p99Ms, delay.p99Ms],
    [200, 200],
    "reading does not forget; the timer's own 20 ms are no delay",
  );
  delay.turn();
  p99Ms = 21;
  t.equal(delay.p99Ms, 200, "the window before counts");
  delay.turn();
  t.equal(delay.p99Ms, 1, "and is forgotten after another");
});

t.test("strangers cannot make metrics grow", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  await h1(gateway, "GET /", ["User-Agent: a/1"]);
  await until(() => gateway.records().length === 1);
  const ours = async () => {
    const all = [...series(await scrape(gateway))];
    return new Map(all.filter(([key]) => key.startsWith("odoo_gateway_")));
  };
  const before = await ours();
  const odd = ["GET /x/1?y=1", "GET /x/2", "GET /x/3", "GET /fr/x/4", "GET /en_US/5"];
  for (const start of odd) await h1(gateway, start, ["User-Agent: a/1", "X-Odd: 1"]);
  for (const host of ["a.test", "b.test", "c.test"]) await h1(gateway, "GET /", [], "", { host });
  await until(() => gateway.records().length === 1 + odd.length + 3);
  const after = await ours();
  // One rule with 4xx, one refusal and its verdict: as many as there are words of ours, not as many as were sent.
  t.ok(after.size <= before.size + 6, `${before.size} series became ${after.size}`);
  t.equal(after.get("odoo_gateway_unknown_host_total"), 3);

  const tally = createTally();
  for (let i = 0; i < talliedRulesMax + 50; i += 1)
    tally.emit({
      type: "access",
      rule: `rule-${i}`,
      status: 200,
      totalMs: 1,
      upstreamMs: null,
    } as AccessRecord);
  t.equal(tally.byRule.size, talliedRulesMax + 1);
  t.equal(tally.byRule.get("other")?.[1], 50);

  const many = createMetricsPage([
    {
      kind: "counter",
      name: "odoo_gateway_many_total",
      help: "x",
      labels: ["a"],
      read: () => Array.from({ length: seriesMax + 10 }, (_, i) => ({ labels: [`w${i}`], value: 1 })),
    },
  ]);
  const found = series((await many()).text);
  const own = [...found.keys()].filter((key) => key.startsWith("odoo_gateway_many_total"));
  t.equal(own.length, seriesMax);
  t.equal(found.get('odoo_gateway_many_total{a="other"}'), 11);
});

t.test("a histogram's buckets hold what is at most their bound", async (t) => {
  const histogram = new SecondsHistogram();
  for (const ms of [-5, 0, 1, 1.1, 120_000, 120_001]) histogram.observeMs(ms);
  t.same([...histogram.counts].slice(0, 2), [3, 1]);
  t.same([...histogram.counts].slice(-2), [1, 1]);
  t.ok(Math.abs(histogram.sum - 240.0031) < 1e-9, String(histogram.sum));
});

t.test("dashboard, alerts and documentation name metrics that exist", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const text = await scrape(gateway);
  const types = new Map(
    [...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = "", type = ""]) => [name, type]),
  );
  const exists = (name: string) =>
    types.has(name) || (types.get(name.replace(/_(?:bucket|sum|count)$/, "")) ?? "") === "histogram";
  const uses = new Set<string>();
  const dashboard: unknown = JSON.parse(read("docs/grafana/odoo-gateway.json"));
  const expressions = textsUnder(dashboard, ["expr", "query"]);
  t.ok(expressions.length > 25, "the dashboard has its panels");
  const rules = textsUnder(parse(read("docs/prometheus/alerts.yml")), ["expr"]);
  t.ok(rules.length > 10, "the alerts were found");
  for (const expression of [...expressions, ...rules])
    for (const name of metricsIn(expression)) {
      uses.add(name);
      t.ok(exists(name), `${name} in ${expression.slice(0, 60)}`);
    }
  t.ok(uses.size > 20, `${uses.size} metrics are used`);
  const manual = read("docs/operations.md");
  for (const name of types.keys())
    if (name.startsWith("odoo_gateway_")) t.ok(manual.includes(`\`${name}\``), `${name} is documented`);
  for (const [, name = ""] of manual.matchAll(/`(odoo_gateway_[a-z_]+)`/g)) t.ok(exists(name), name);
  if (hasPromtool()) execFileSync("promtool", ["check", "rules", join(root, "docs/prometheus/alerts.yml")]);
  else t.comment("promtool is not here: its own check of the alerts was left out");
});

function hasPromtool(): boolean {
  try {
    execFileSync("promtool", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** Every text that stands under one of these keys, however deep. */
function textsUnder(value: unknown, keys: readonly string[]): string[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === "string" && keys.includes(key) ? [inner] : textsUnder(inner, keys),
  );
}
