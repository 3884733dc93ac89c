import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { ExchangeId } from "../../src/base/brands.ts";
import { cleanText } from "../../src/base/clean.ts";
import { manualClock } from "../../src/base/clock.ts";
import { createCounters } from "../../src/observe/counters.ts";
import { openDestination } from "../../src/observe/destination.ts";
import type { AccessRecord, GatewayEvent } from "../../src/observe/events.ts";
import { createLog } from "../../src/observe/log-pino.ts";
import { teeSinks } from "../../src/observe/sinks.ts";
import type { LogFormat, LogLevel } from "../../src/settings/settings.ts";

const id = "0f3c" as ExchangeId;

function access(more: Partial<AccessRecord> = {}): AccessRecord {
  return {
    type: "access",
    wallMs: Date.UTC(2026, 10, 21, 5, 41, 12, 345),
    id,
    client: "203.0.113.9",
    peer: "127.0.0.1",
    protocol: "HTTP/2",
    method: "GET",
    host: "erp.example.com",
    target: "/web?debug=1",
    status: 200,
    bytesIn: 0,
    bytesOut: 5120,
    rule: "everything",
    verdict: "forward",
    limit: null,
    failure: null,
    cache: null,
    totalMs: 12.3456,
    upstreamMs: 10.04,
    lane: null,
    queueMs: 0,
    userAgent: "Mozilla/5.0",
    ...more,
  };
}

/** One of each, so that a new member cannot be forgotten: the type of the record demands it. */
const everyEvent: { readonly [Type in GatewayEvent["type"]]: Extract<GatewayEvent, { type: Type }> } = {
  access: access(),
  refused: { type: "refused", id, client: "203.0.113.9", code: "host-repeated", detail: "two Host" },
  denied: { type: "denied", id, client: "203.0.113.9", rule: "database-manager", target: "/web/database" },
  limited: {
    type: "limited",
    id,
    client: "203.0.113.9",
    limit: "login",
    rule: "login",
    retryAfterSeconds: 12,
  },
  login: {
    type: "login",
    id,
    client: "203.0.113.9",
    door: "json-rpc",
    eachCall: true,
    outcome: "failure",
    account: null,
  },
  strike: { type: "strike", client: "203.0.113.9", why: "login", account: null, marks: 5 },
  "csp-report": {
    type: "csp-report",
    directive: "script-src",
    source: "https://cdn.example.com",
    page: "erp.example.com/shop",
  },
  "ban-lifted": { type: "ban-lifted", client: "203.0.113.9" },
  ban: { type: "ban", client: "203.0.113.9", why: "pair", until: "2026-11-21T08:00:00.000Z", times: 1 },
  "session-moved": {
    type: "session-moved",
    id,
    client: "203.0.113.9",
    session: "gQ",
    account: null,
    why: "other-browser",
    networks: ["198.51.100.0/24", "203.0.113.0/24"],
    agents: ["Chrome on Windows", "Python"],
  },
  "crawler-checked": {
    type: "crawler-checked",
    client: "203.0.113.9",
    claims: "Google",
    verdict: "false",
    name: "vm.example.net",
  },
  "payment-failed": {
    type: "payment-failed",
    id,
    client: "203.0.113.9",
    route: "webhook",
    provider: "adyen",
    status: 503,
    verdict: "forward",
    rule: "everything",
    failure: null,
  },
  "upstream-failed": {
    type: "upstream-failed",
    id,
    failure: "connect-refused",
    member: "127.0.0.1:8069",
    detail: "ECONNREFUSED",
  },
  shed: {
    type: "shed",
    id,
    client: "203.0.113.9",
    lane: "crawler",
    reason: "queue-full",
    queueMs: 0,
    rule: "everything",
  },
  "member-down": { type: "member-down", pool: "web", member: "10.0.0.2:8069", why: "connect-refused" },
  "member-up": { type: "member-up", pool: "web", member: "10.0.0.2:8069" },
  "odoo-full": { type: "odoo-full", perMember: 16, remedy: "set ODOO_WORKERS" },
  "odoo-away": { type: "odoo-away", members: 1 },
  "odoo-back": { type: "odoo-back", awayMs: 4200, held: 12 },
  "untrusted-forwarding": { type: "untrusted-forwarding", peer: "127.0.0.1", field: "x-forwarded-for" },
  "unknown-host": { type: "unknown-host", client: "203.0.113.9", host: "evil.com" },
  listening: { type: "listening", what: "https", address: "[::]:8443" },
  "plan-loaded": { type: "plan-loaded", revision: 1, rules: 41, preset: "standard" },
  "self-checked": { type: "self-checked", refused: 26 },
  "reload-refused": { type: "reload-refused", problems: ["policies/20-login.yaml:9:17 wrong"] },
  "certificate-loaded": {
    type: "certificate-loaded",
    names: ["localhost"],
    notAfter: "2027-01-01T00:00:00.000Z",
  },
  "bus-fallback": { type: "bus-fallback", bus: "127.0.0.1:8072", web: "127.0.0.1:8069" },
  "certificate-ordered": {
    type: "certificate-ordered",
    names: ["erp.example.com"],
    issuer: "CN=R3",
    notAfter: "2027-01-01T00:00:00.000Z",
    directory: "https://ca.example/dir",
  },
  "certificate-renewed": {
    type: "certificate-renewed",
    names: ["erp.example.com"],
    issuer: "CN=R3",
    notAfter: "2027-01-01T00:00:00.000Z",
    directory: "https://ca.example/dir",
  },
  "certificate-failed": {
    type: "certificate-failed",
    names: ["erp.example.com"],
    directory: "https://ca.example/dir",
    detail: "rateLimited: too many certificates",
    failures: 2,
    nextTry: "2027-01-01T00:00:00.000Z",
  },
  "certificate-expiring": {
    type: "certificate-expiring",
    names: ["erp.example.com"],
    notAfter: "2027-01-01T00:00:00.000Z",
    daysLeft: 9,
  },
  "hsts-ramp": { type: "hsts-ramp", maxAgeSeconds: 300, until: "2027-01-01T00:00:00.000Z" },
  alert: {
    type: "alert",
    name: "OdooGatewayOdooAway",
    state: "firing",
    severity: "critical",
    summary: "Odoo is away",
  },
  maintenance: {
    type: "maintenance",
    state: "on",
    message: "new version",
    until: null,
    allow: ["10.0.0.0/8"],
  },
  "certificate-missing": {
    type: "certificate-missing",
    name: "old.example.com",
    shown: ["erp.example.com"],
    untold: 3,
  },
  "bus-restored": { type: "bus-restored", bus: "127.0.0.1:8072" },
  draining: { type: "draining", exchanges: 1, tunnels: 2 },
  stopped: { type: "stopped", cut: 0 },
  warning: { type: "warning", what: "spool", detail: "almost full" },
  error: { type: "error", what: "bug", detail: "oops" },
};

function recorder(format: LogFormat, level: LogLevel = "debug") {
  const lines: string[] = [];
  const clock = manualClock(Date.UTC(2026, 10, 21, 6));
  const log = createLog({ level, format, clock, destination: { write: (line) => void lines.push(line) } });
  const parsed = () => lines.map((line) => JSON.parse(line));
  return { log, lines, clock, parsed };
}

t.test("an access record is one JSON line with stable names", (t) => {
  const { log, lines, parsed } = recorder("json");
  log.emit(access());
  t.equal(lines.length, 1);
  t.match(lines[0], /^\{.*\}\n$/);
  t.same(parsed()[0], {
    level: "info",
    time: "2026-11-21T05:41:12.345Z",
    event: "access",
    stream: "access",
    id: "0f3c",
    client: "203.0.113.9",
    peer: "127.0.0.1",
    protocol: "HTTP/2",
    method: "GET",
    host: "erp.example.com",
    target: "/web?debug=1",
    status: 200,
    bytesIn: 0,
    bytesOut: 5120,
    rule: "everything",
    verdict: "forward",
    limit: null,
    failure: null,
    cache: null,
    totalMs: 12.3,
    gatewayMs: 2.3,
    upstreamMs: 10,
    queueMs: null,
    lane: null,
    userAgent: "Mozilla/5.0",
  });
  t.end();
});

t.test("every event has its name, level and stream, and keeps its fields", (t) => {
  const { log, parsed } = recorder("json");
  for (const event of Object.values(everyEvent)) log.emit(event);
  const lines = parsed();
  t.same(
    lines.map((line) => line.event),
    Object.keys(everyEvent),
  );
  const streams = new Map(lines.map((line) => [line.event, line.stream]));
  const security = [...streams].filter(([, stream]) => stream === "security").map(([event]) => event);
  t.same(security, [
    "refused",
    "denied",
    "limited",
    "login",
    "strike",
    "ban-lifted",
    "ban",
    "session-moved",
    "crawler-checked",
    "payment-failed",
    "untrusted-forwarding",
    "unknown-host",
  ]);
  t.equal(streams.get("access"), "access");
  for (const line of lines) {
    t.type(line.type, "undefined", "one name for the event, not two");
    if (line.event !== "access") t.equal(line.time, "2026-11-21T06:00:00.000Z");
  }
  const limited = lines.find((line) => line.event === "limited");
  t.match(limited, {
    level: "warn",
    client: "203.0.113.9",
    limit: "login",
    rule: "login",
    retryAfterSeconds: 12,
  });
  t.match(
    lines.find((line) => line.event === "reload-refused"),
    { level: "error", problems: ["policies/20-login.yaml:9:17 wrong"] },
  );
  t.end();
});

t.test("LOG_LEVEL holds back what is below it", (t) => {
  const seen = (level: LogLevel, format: LogFormat) => {
    const { log, lines } = recorder(format, level);
    for (const event of Object.values(everyEvent)) log.emit(event);
    return lines.length;
  };
  for (const format of ["json", "text"] as const) {
    t.equal(seen("debug", format), Object.keys(everyEvent).length);
    t.equal(seen("info", format), Object.keys(everyEvent).length);
    t.equal(seen("warn", format), 24, "no access lines, all security events");
    t.equal(seen("error", format), 3);
    t.equal(seen("silent", format), 0);
  }
  t.end();
});

t.test("what a client sends cannot forge a line, colour a terminal or fill the disk", (t) => {
  const nasty = '\n{"event":"access"}\r\u001b[31m\u009b2J\u007f\u202e\u2028\ud800 \u0000';
  const huge = "a".repeat(1_000_000);
  for (const format of ["json", "text"] as const) {
    const { log, lines } = recorder(format);
    log.emit(access({ target: `/x${nasty}`, userAgent: nasty, host: nasty, method: `G${nasty}` }));
    log.emit({ type: "unknown-host", client: "203.0.113.9", host: nasty });
    log.emit(access({ target: `/${huge}`, userAgent: huge, host: huge }));
    log.emit({ type: "warning", what: "w", detail: huge });
    log.emit({ type: "reload-refused", problems: Array.from({ length: 1_000 }, () => huge) });
    t.equal(lines.length, 5, format);
    for (const line of lines) {
      const body = line.slice(0, -1);
      t.ok(
        line.endsWith("\n") && !/[\u0000-\u001f\u007f-\u009f\u202e\u2028\ud800-\udfff]/.test(body),
        "one harmless line",
      );
      t.ok(line.length < 60_000, "bounded");
    }
    t.ok(lines.slice(0, 4).every((line) => line.length < 4_000));
    if (format === "text")
      t.notMatch(lines.slice(0, 2).join(""), / event=|[^\\]"event"/, "no value poses as a field");
  }
  t.equal(cleanText("a\u001b[0m\u202eb"), "a\\x1b[0m\\u202eb");
  t.equal(cleanText("grün 🎉 日本"), "grün 🎉 日本", "what is only foreign stays");
  t.equal(cleanText("🎉🎉", 3), "🎉\\ud83c…", "a pair cut in half is written out");
  t.end();
});

t.test("a text line can be read at a glance, and without a terminal it has no colours", (t) => {
  const { log, lines } = recorder("text");
  log.emit(access({ userAgent: 'Mozilla/5.0 (X11) "x"=y' }));
  log.emit(everyEvent["certificate-loaded"]);
  t.equal(
    lines[0],
    '05:41:12.345 info  access id=0f3c client=203.0.113.9 peer=127.0.0.1 protocol=HTTP/2 method=GET host=erp.example.com target="/web?debug=1" status=200 bytesIn=0 bytesOut=5120 rule=everything verdict=forward totalMs=12.3 gatewayMs=2.3 upstreamMs=10 userAgent="Mozilla/5.0 (X11) \\"x\\"=y"\n',
  );
  t.equal(
    lines[1],
    "06:00:00.000 info  certificate-loaded names=localhost notAfter=2027-01-01T00:00:00.000Z\n",
  );
  t.end();
});

t.test("a burst of failed payments is ten lines, and does not hide those of another kind", (t) => {
  const { log, clock, parsed } = recorder("json");
  const failed = (route: "webhook" | "payment", status: number): GatewayEvent => ({
    ...everyEvent["payment-failed"],
    route,
    status,
  });
  for (let i = 0; i < 500; i += 1) log.emit(failed("payment", 404));
  t.equal(parsed().length, 10);
  log.emit(failed("payment", 502));
  log.emit(failed("webhook", 404));
  t.equal(parsed().length, 12, "a provider's failure stands beside strangers' 404s");
  clock.advance(60_000);
  log.emit(failed("payment", 404));
  t.match(parsed()[12], { event: "payment-failed", suppressed: 490 });
  t.end();
});

t.test(
  "strangers cannot flood the log with one kind: the first at once, then one a minute with a count",
  async (t) => {
    const { log, clock, parsed } = recorder("json");
    const host = (name: string): GatewayEvent => ({
      type: "unknown-host",
      client: "203.0.113.9",
      host: name,
    });
    for (let i = 0; i < 500; i += 1) log.emit(host(`${i}.evil.com`));
    t.equal(parsed().length, 1);
    log.emit(everyEvent["untrusted-forwarding"]);
    log.emit({ type: "warning", what: "one", detail: "" });
    log.emit({ type: "warning", what: "two", detail: "" });
    t.equal(parsed().length, 4, "kinds do not silence each other");
    clock.advance(59_999);
    log.emit(host("late"));
    t.equal(parsed().length, 4);
    clock.advance(1);
    log.emit(host("minute"));
    t.match(parsed()[4], { event: "unknown-host", host: "minute", suppressed: 500 });
    clock.advance(60_000);
    log.emit(host("quiet"));
    t.notOk("suppressed" in parsed()[5]);
    log.emit(host("last"));
    for (let i = 0; i < 100; i += 1)
      log.emit({ type: "refused", id, client: "c", code: "host-repeated", detail: "" });
    t.equal(parsed().length, 106, "refusals are always written: a ban tool counts them");
    for (let i = 0; i < 100; i += 1) {
      log.emit(everyEvent["csp-report"]);
      log.emit({ ...everyEvent.limited, limit: "csp-reports" });
    }
    t.equal(parsed().length, 108, "a page full of violations is one line of each");
    for (let i = 0; i < 200; i += 1) log.emit({ type: "warning", what: `kind ${i}`, detail: "" });
    t.ok(parsed().length <= 108 + 64, "the table of kinds is bounded");
    await log.close();
    t.ok(
      parsed().some((line) => line.host === "last" && line.suppressed === 1),
      "the rest is told at the end",
    );
    const { length } = parsed();
    log.emit(access());
    t.equal(parsed().length, length, "nothing after the end");
  },
);

t.test("a destination that throws loses lines, not the gateway", (t) => {
  const log = createLog({
    level: "info",
    format: "json",
    destination: {
      write() {
        throw new Error("no");
      },
    },
  });
  t.doesNotThrow(() => log.emit(access()));
  t.equal(log.dropped, 1);
  t.end();
});

t.test("a file holds every line, in order, when the log is closed", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "gateway-log-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "gateway.log");
  const fd = openSync(path, "a");
  const log = createLog({ level: "info", format: "json", destination: openDestination(fd) });
  for (let i = 0; i < 2_000; i += 1) log.emit(access({ status: 100 + (i % 400), bytesOut: i }));
  await log.close();
  closeSync(fd);
  const numbers = readFileSync(path, "utf8")
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).bytesOut);
  t.same(
    numbers,
    Array.from({ length: 2_000 }, (_, i) => i),
  );
  t.equal(log.dropped, 0);
});

t.test("lines that come together are counted one by one when they are lost", async (t) => {
  const directory = mkdtempSync(join(tmpdir(), "gateway-log-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const fd = openSync(join(directory, "gateway.log"), "a");
  const destination = openDestination(fd);
  await destination.close();
  closeSync(fd);
  destination.write("one\n");
  destination.write("two\nthree\n", 2);
  t.equal(destination.dropped, 3);
});

/** Runs a program that logs to its standard output; the answer is what came out and how it ended. */
async function run(program: string, shell: string): Promise<{ out: string; code: number | null }> {
  const module = new URL("../../src/observe/log-pino.js", import.meta.url).href;
  const source = `const { createLog } = await import(${JSON.stringify(module)});
    const event = ${JSON.stringify(access())};
    const log = createLog({ level: "info", format: "json" });
    ${program}`;
  const child = spawn("sh", ["-c", shell, "sh", process.execPath, source], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let out = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    out += chunk;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { out, code };
}

t.test("lines still waiting are written when the process ends by itself or by exit()", async (t) => {
  const node = '"$1" --input-type=module -e "$2"';
  const [ended, exited] = await Promise.all([
    run("for (let i = 0; i < 3; i++) log.emit(event);", node),
    run("log.emit(event); setImmediate(() => { log.emit(event); process.exit(3); });", node),
  ]);
  t.equal(ended.code, 0);
  t.equal(ended.out.trim().split("\n").length, 3);
  t.equal(exited.code, 3);
  t.equal(exited.out.trim().split("\n").length, 2);
});

t.test(
  "a full disk or a reader that left never hangs or ends the gateway",
  { skip: !existsSync("/dev/full") },
  async (t) => {
    const lines = "for (let i = 0; i < 60_000; i++) log.emit(event);";
    const tell = "(await import('node:fs')).writeSync(3, 'dropped ' + (log.dropped > 0) + '\\n');";
    const full = await run(
      `${lines} ${tell} await log.close();`,
      '"$1" --input-type=module -e "$2" 3>&1 >/dev/full',
    );
    t.same(full, { out: "dropped true\n", code: 0 }, "disk full, closed");
    const exit = await run(
      "log.emit(event); process.exit(4);",
      '"$1" --input-type=module -e "$2" >/dev/full',
    );
    t.equal(exit.code, 4, "disk full, exit without closing");
    const gone = await run(
      `while (log.dropped === 0) { log.emit(event); await new Promise(setImmediate); } ${tell} log.emit(event); await log.close();`,
      '{ { "$1" --input-type=module -e "$2" 3>&4; echo "code $?" >&4; } | true; } 4>&1',
    );
    t.equal(gone.out, "dropped true\ncode 0\n", "reader gone");
  },
);

t.test("a reader that falls behind and comes back gets whole lines in order", async (t) => {
  const program = "for (let i = 0; i < 5_000; i++) log.emit({ ...event, bytesOut: i }); await log.close();";
  const slow = await run(
    program,
    '"$1" --input-type=module -e "$2" | { IFS= read -r first; printf "%s\\n" "$first"; cat; }',
  );
  const numbers = slow.out
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line).bytesOut);
  t.same(
    numbers,
    Array.from({ length: 5_000 }, (_, i) => i),
  );
});

t.test("counters add up and are bounded, and every sink hears every event", (t) => {
  const counters = createCounters();
  const heard: string[] = [];
  const sink = teeSinks(counters, { emit: (event) => void heard.push(event.type) });
  for (const event of Object.values(everyEvent)) sink.emit(event);
  sink.emit(access({ status: 101, verdict: "forward", bytesIn: 7 }));
  sink.emit(access({ status: 499, verdict: "none" }));
  sink.emit(access({ status: 404, verdict: "deny", cache: "hit" }));
  t.same(heard.slice(0, -3), Object.keys(everyEvent));
  t.same(counters.snapshot(), {
    exchanges: 4,
    tunnels: 1,
    bytesIn: 7,
    bytesOut: 4 * 5120,
    untrustedForwarding: 1,
    unknownHost: 1,
    warnings: 8,
    errors: 3,
    byVerdict: { forward: 2, none: 1, deny: 1 },
    byStatus: { "2xx": 1, "1xx": 1, "499": 1, "4xx": 1 },
    refused: { "host-repeated": 1 },
    denied: { "database-manager": 1 },
    limited: { login: 1 },
    logins: { failure: 1 },
    strikes: { login: 1 },
    bans: { pair: 1 },
    sessionsMoved: { "other-browser": 1 },
    crawlersChecked: { false: 1 },
    paymentsFailed: { "webhook 5xx": 1 },
    failures: { "connect-refused": 1 },
    shed: { crawler: 1 },
    cache: { hit: 1 },
  });
  for (let i = 0; i < 1_000; i += 1)
    counters.emit({ type: "refused", id, client: "c", code: `code-${i}`, detail: "" });
  const { refused } = counters.snapshot();
  t.ok(Object.keys(refused).length <= 129);
  t.equal(
    Object.values(refused).reduce((sum, n) => sum + n, 0),
    1_001,
    "nothing is lost, only its word",
  );
  t.end();
});
