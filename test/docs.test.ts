import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import * as alertBounds from "../src/alert/alerts.ts";
import { alertNames } from "../src/alert/conditions.ts";
import * as alertLookupBounds from "../src/alert/lookup.ts";
import * as alertOutboxBounds from "../src/alert/outbox.ts";
import * as alertPostBounds from "../src/alert/post.ts";
import * as alertPatienceBounds from "../src/alert/retry-after.ts";
import * as alertTellerBounds from "../src/alert/teller.ts";
import { packageRoot } from "../src/base/package-root.ts";
import * as cacheBounds from "../src/cache/cache.ts";
import * as collapseBounds from "../src/cache/collapse.ts";
import * as contentBounds from "../src/cache/content.ts";
import * as cacheRuleBounds from "../src/cache/rules.ts";
import * as squeezeBounds from "../src/cache/squeeze.ts";
import * as cacheStoreBounds from "../src/cache/store.ts";
import { edgeBounds } from "../src/edge/bounds.ts";
import * as banBounds from "../src/guard/ban-table.ts";
import * as crawlerBounds from "../src/guard/crawler-checks.ts";
import * as cspReportBounds from "../src/guard/csp-report.ts";
import * as cspReportsBounds from "../src/guard/csp-reports.ts";
import * as jailBounds from "../src/guard/jail.ts";
import * as jsonBounds from "../src/guard/json-scan.ts";
import * as storeBounds from "../src/guard/limit-store.ts";
import * as limiterBounds from "../src/guard/limiter.ts";
import * as loginBounds from "../src/guard/login-outcome.ts";
import * as pendingBounds from "../src/guard/pending-accounts.ts";
import * as sightingBounds from "../src/guard/session-sightings.ts";
import * as trailBounds from "../src/guard/session-trails.ts";
import * as sessionBounds from "../src/guard/sessions.ts";
import * as sharedBounds from "../src/guard/shared-peers.ts";
import * as xmlBounds from "../src/guard/xml.ts";
import * as xmlCallBounds from "../src/guard/xml-call.ts";
import * as messageBounds from "../src/message/bounds.ts";
import { refusals } from "../src/message/refusals.ts";
import { createCounters } from "../src/observe/counters.ts";
import type { AccessRecord, FailureKind, GatewayEvent } from "../src/observe/events.ts";
import { gatewayMetrics, type MetricsNow } from "../src/observe/gateway-metrics.ts";
import { lineOf } from "../src/observe/line.ts";
import { createTally } from "../src/observe/tally.ts";
import { decide } from "../src/policy/decide.ts";
import { decodePolicyFile } from "../src/policy/decode.ts";
import { loadPolicy } from "../src/policy/load.ts";
import { listOf, type RuleDocument, verdictKeys } from "../src/policy/rule-document.ts";
import * as encodeBounds from "../src/reply/encode.ts";
import * as encodedStreamBounds from "../src/reply/encoded-stream.ts";
import * as maskBounds from "../src/reply/traceback-mask.ts";
import * as cspStageBounds from "../src/road/csp-reports.ts";
import * as bufferBounds from "../src/upstream/answer-buffer.ts";
import * as readerBounds from "../src/upstream/answer-reader.ts";
import * as deliveryBounds from "../src/upstream/delivery.ts";
import { failureAnswer } from "../src/upstream/failure.ts";
import * as fileBodyBounds from "../src/upstream/file-body.ts";
import * as filestoreBounds from "../src/upstream/filestore.ts";
import * as forwardBounds from "../src/upstream/forward.ts";
import * as healthBounds from "../src/upstream/health.ts";
import * as holdBounds from "../src/upstream/hold.ts";
import * as poolBounds from "../src/upstream/pool-member.ts";
import * as watchBounds from "../src/upstream/pool-watch.ts";
import * as probeBounds from "../src/upstream/probe.ts";
import * as paceBounds from "../src/upstream/reconnect-pace.ts";
import * as bodyBounds from "../src/upstream/request-body.ts";
import * as resolverBounds from "../src/upstream/resolver.ts";
import * as tunnelBounds from "../src/upstream/tunnel.ts";
import { settingsFor, shippedDirectory } from "./policy/support.ts";
import { factsFor } from "./support/facts.ts";

const root = packageRoot().directory;
const program = fileURLToPath(new URL("../src/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-docs-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

const read = (path: string): string => readFileSync(join(root, path), "utf8");
const sourceNote = (source: string) => `<!-- Made from ${source}; a test holds the two equal. -->`;

/** The text between two markers is what the code says; UPDATE_DOCS=1 writes it anew. */
function holds(t: Pick<Tap, "equal" | "fail">, path: string, name: string, made: string): void {
  const begin = `<!-- begin: ${name} -->\n`;
  const end = `<!-- end: ${name} -->`;
  const text = read(path);
  const from = text.indexOf(begin) + begin.length;
  const to = text.indexOf(end);
  if (from < begin.length || to < from) return void t.fail(`${path} has no section ${name}`);
  if (process.env["UPDATE_DOCS"] === "1")
    writeFileSync(join(root, path), text.slice(0, from) + made + text.slice(to));
  else t.equal(text.slice(from, to), made, `${path}, ${name}; UPDATE_DOCS=1 writes it anew`);
}
type Tap = Pick<typeof t, "equal" | "fail" | "match">;

function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]) => `| ${cells.join(" | ")} |\n`;
  return line(head) + line(head.map(() => "---")) + rows.map(line).join("");
}

t.test("every refusal is in the documentation with its status", async (t) => {
  const rows = Object.entries(refusals).map(([code, { status, detail }]) => [`\`${code}\``, status, detail]);
  holds(
    t,
    "docs/exchange.md",
    "refusals",
    `${sourceNote("src/message/refusals.ts")}\n\n${table(["code", "status", "says"], rows)}`,
  );
});

t.test("what the parser refuses is in the documentation", async (t) => {
  const source = `${read("src/edge/request-reader.ts")}${read("src/edge/http1-connection.ts")}`;
  const told = new Map(
    [...source.matchAll(/broken\((\d{3}), "([a-z-]+)"\)/g)].map(([, status = "", code = ""]) => [
      code,
      status,
    ]),
  );
  const pairs = [...told, ["version-unsupported", "505"]].map(([code, status]) => ["", status, code]);
  t.ok(pairs.length >= 5, "the codes were found in the source");
  const rows = pairs
    .map(([, status = "", code]) => [`\`${code}\``, status])
    .sort((a, b) => `${a[1]}${a[0]}`.localeCompare(`${b[1]}${b[0]}`));
  holds(
    t,
    "docs/exchange.md",
    "parser",
    `${sourceNote("src/edge/request-reader.ts")}\n\n${table(["code", "status"], rows)}`,
  );
});

t.test("every refusal of the road is in the documentation", async (t) => {
  const road = read("docs/exchange.md").split("## On the road")[1]?.split("\n## ")[0] ?? "";
  const rooms = readdirSync(join(root, "src/road")).map((name) => `src/road/${name}`);
  const source = rooms.map(read).join("\n");
  const pairs = [...source.matchAll(/\.refuse\(\s*x,\s*(\d{3}),\s*"([a-z0-9-]+)"/g)];
  t.ok(pairs.length >= 3, "the codes were found in the source");
  for (const [, status, code] of [
    ...pairs,
    ["", "413", "body-too-large"],
    ["", "403", "no-rule"],
    ["", "200", "xml-doctype"],
    ["", "200", "xml-encoding"],
    ["", "200", "rpc-unreadable"],
    ["", "403", "api-network"],
    ["", "403", "api-service"],
    ["", "403", "api-model"],
    ["", "403", "api-method"],
    ["", "403", "database-pinned"],
  ]) {
    const row = road.split("\n").find((line) => line.includes(`\`${code}\``));
    t.ok(row?.includes(String(status)), `${code} with ${status}`);
  }
});

t.test("every failure of the upstream leg is in the documentation", async (t) => {
  // Typed so that a kind that is added or taken away does not compile here.
  const kinds: Readonly<Record<FailureKind, true>> = {
    "connect-refused": true,
    "connect-failed": true,
    "connect-timeout": true,
    "closed-without-answer": true,
    "answer-timeout": true,
    "answer-malformed": true,
    "answer-cut": true,
    "body-stalled": true,
    "spool-full": true,
    "file-unreadable": true,
    "no-worker": true,
  };
  const rows = (Object.keys(kinds) as FailureKind[]).map((kind) => {
    const { status, sentence, retryAfterSeconds } = failureAnswer(kind);
    return [`\`${kind}\``, status, retryAfterSeconds ?? "none", sentence];
  });
  const head = ["failure", "status", "Retry-After", "says"];
  holds(
    t,
    "docs/exchange.md",
    "failures",
    `${sourceNote("src/upstream/failure.ts")}\n\n${table(head, rows)}`,
  );
});

t.test("every bound is in the documentation with its value", async (t) => {
  const rooms: readonly (readonly [string, Readonly<Record<string, unknown>>])[] = [
    ["edge/bounds", edgeBounds],
    ["message/bounds", messageBounds],
    ["upstream/request-body", bodyBounds],
    ["upstream/answer-buffer", bufferBounds],
    ["upstream/answer-reader", readerBounds],
    ["upstream/filestore", filestoreBounds],
    ["upstream/file-body", fileBodyBounds],
    ["upstream/forward", forwardBounds],
    ["upstream/pool-member", poolBounds],
    ["upstream/health", healthBounds],
    ["upstream/probe", probeBounds],
    ["upstream/pool-watch", watchBounds],
    ["upstream/resolver", resolverBounds],
    ["upstream/delivery", deliveryBounds],
    ["upstream/hold", holdBounds],
    ["upstream/reconnect-pace", paceBounds],
    ["upstream/tunnel", tunnelBounds],
    ["guard/limiter", limiterBounds],
    ["guard/limit-store", storeBounds],
    ["guard/sessions", sessionBounds],
    ["guard/crawler-checks", crawlerBounds],
    ["guard/session-sightings", sightingBounds],
    ["guard/session-trails", trailBounds],
    ["guard/login-outcome", loginBounds],
    ["guard/xml", xmlBounds],
    ["guard/xml-call", xmlCallBounds],
    ["guard/json-scan", jsonBounds],
    ["guard/jail", jailBounds],
    ["guard/ban-table", banBounds],
    ["guard/pending-accounts", pendingBounds],
    ["guard/csp-report", cspReportBounds],
    ["guard/csp-reports", cspReportsBounds],
    ["road/csp-reports", cspStageBounds],
    ["guard/shared-peers", sharedBounds],
    ["reply/traceback-mask", maskBounds],
    ["cache/rules", cacheRuleBounds],
    ["cache/store", cacheStoreBounds],
    ["cache/collapse", collapseBounds],
    ["cache/cache", cacheBounds],
    ["cache/content", contentBounds],
    ["cache/squeeze", squeezeBounds],
    ["reply/encode", encodeBounds],
    ["reply/encoded-stream", encodedStreamBounds],
    ["alert/alerts", alertBounds],
    ["alert/teller", alertTellerBounds],
    ["alert/outbox", alertOutboxBounds],
    ["alert/post", alertPostBounds],
    ["alert/retry-after", alertPatienceBounds],
    ["alert/lookup", alertLookupBounds],
  ];
  const rows = rooms.flatMap(([room, exported]) =>
    Object.entries(exported)
      .filter((entry): entry is [string, number] => typeof entry[1] === "number")
      .map(([name, value]) => [`\`${room}\``, `\`${name}\``, amount(name, value)]),
  );
  t.ok(rows.length > 35, "the bounds were found");
  holds(
    t,
    "docs/exchange.md",
    "bounds",
    `${sourceNote("the files named in it")}\n\n${table(["where", "bound", "value"], rows)}`,
  );
});

/** The value in the unit its name ends with. */
function amount(name: string, value: number): string {
  const number = (n: number) => String(n).replace(/\B(?=(\d{3})+$)/g, " ");
  if (/Ms(?:Max)?$/.test(name))
    return value >= 1000 && value % 1000 === 0 ? `${number(value / 1000)} s` : `${number(value)} ms`;
  if (/MiB$/.test(name)) return `${value} MiB`;
  if (/BytesPerSecond/.test(name)) return `${number(value)} bytes a second`;
  if (/Bytes/.test(name)) {
    for (const [unit, size] of [
      ["GiB", 2 ** 30],
      ["MiB", 2 ** 20],
      ["KiB", 2 ** 10],
    ] as const)
      if (value >= size && value % size === 0) return `${number(value / size)} ${unit}`;
    return `${number(value)} bytes`;
  }
  return number(value);
}

const files = readdirSync(shippedDirectory)
  .filter((name) => name.endsWith(".yaml"))
  .sort()
  .map((name) => ({ name, ...decodePolicyFile(name, readFileSync(join(shippedDirectory, name), "utf8")) }));

t.test("shipped rules and limits are in the documentation", async (t) => {
  const rules = files.flatMap(({ name, rules }) =>
    rules.map(({ document }) => [
      `\`${name}\``,
      `\`${document.id}\``,
      whenText(document),
      verdictText(document),
      (document.limits ?? []).map((one) => `\`${one}\``).join(" "),
    ]),
  );
  const limits = files.flatMap(({ name, limits }) =>
    limits.map(({ name: limit, document: { rate, burst, key, refund } }) => [
      `\`${limit}\``,
      rate,
      burst,
      key ?? "client",
      refund ?? "",
      `\`${name}\``,
    ]),
  );
  t.ok(rules.length > 30 && limits.length > 8, "rules and limits were found");
  const note = sourceNote("policies/");
  holds(
    t,
    "docs/policies.md",
    "rules",
    `${note}\n\n${table(["file", "rule", "when", "verdict", "limits"], rules)}`,
  );
  holds(
    t,
    "docs/policies.md",
    "limits",
    `${note}\n\n${table(["limit", "rate", "burst", "key", "refund", "file"], limits)}`,
  );
});

function whenText({ when }: RuleDocument): string {
  return Object.entries(when ?? {})
    .map(([key, value]) => `${key}: ${listOf(value).join(", ")}`)
    .join("; ");
}

function verdictText(rule: RuleDocument): string {
  const key = verdictKeys.find((one) => rule[one] !== undefined) ?? "drop";
  if (rule.redirect !== undefined) return `redirect to ${rule.redirect.to}`;
  if (rule.answer !== undefined) return `answer ${rule.answer.status}`;
  return `${key} ${rule[key]}`;
}

t.test("the example of a policy of one's own loads and decides as it says", async (t) => {
  const example = /^```yaml\n(limits:[\s\S]*?)^```/m.exec(read("docs/policies.md"))?.[1] ?? "";
  const closing =
    /^```yaml\n( {2}- id: partner-webhook-closed[\s\S]*?)^```/m.exec(read("docs/policies.md"))?.[1] ?? "";
  const all = new Map(files.map(({ name }) => [name, readFileSync(join(shippedDirectory, name), "utf8")]));
  all.set("40-own.yaml", example);
  const asked = (client: string, path = "/parcel/webhook/1") => {
    const policy = loadPolicy({
      directory: "policies",
      readDirectory: () => [...all.keys()],
      readFile: (path) => all.get(path.split("/").at(-1) ?? "") ?? "",
      settings: settingsFor("standard"),
    });
    if (!policy.ok) throw new Error(policy.error.map(({ place, thing }) => `${place} ${thing}`).join("\n"));
    return decide(policy.value, factsFor({ method: "POST", path, from: client }), { knownSession: false });
  };
  t.match(asked("192.0.2.10"), {
    verdict: "forward",
    reason: { rule: "partner-webhook" },
    bodyBytesMax: 2 ** 20,
    answerTimeoutMs: 30_000,
  });
  t.match(asked("203.0.113.9"), { verdict: "forward", reason: { rule: "odoo" } });
  all.set("40-own.yaml", example + closing);
  t.match(asked("192.0.2.10"), { verdict: "forward", reason: { rule: "partner-webhook" } });
  for (const path of ["/parcel/webhook/1", "/fr/parcel/webhook", "/english/Parcel/webhook/1"])
    t.match(asked("203.0.113.9", path), { verdict: "deny", reason: { rule: "partner-webhook-closed" } });
});

t.test(
  "the example of a limit on a shop's filters counts strangers in filters, and nobody else",
  async (t) => {
    const example =
      /^```yaml\n(limits:\n {2}shop-filters[\s\S]*?)^```/m.exec(read("docs/policies.md"))?.[1] ?? "";
    const all = new Map(files.map(({ name }) => [name, readFileSync(join(shippedDirectory, name), "utf8")]));
    all.set("70-shop.yaml", example);
    const policy = loadPolicy({
      directory: "policies",
      readDirectory: () => [...all.keys()],
      readFile: (path) => all.get(path.split("/").at(-1) ?? "") ?? "",
      settings: settingsFor("standard"),
    });
    if (!policy.ok) throw new Error(policy.error.map(({ place, thing }) => `${place} ${thing}`).join("\n"));
    const ruleOf = (path: string, query: string, knownSession = false) =>
      decide(policy.value, factsFor({ path, query, sessionId: "a-session" }), { knownSession }).reason.rule;
    t.equal(ruleOf("/shop/category/desks-1", "attrib=1-2&attrib=3-4"), "shop-filters");
    t.equal(ruleOf("/fr/shop", "tags=4"), "shop-filters");
    t.equal(ruleOf("/shop/desk-12", ""), "odoo");
    t.equal(ruleOf("/shop", "tags=4", true), "odoo-session");
    t.equal(ruleOf("/blog", "tags=4"), "odoo");
  },
);

t.test("the example for crawlers turns away, slows down, and opens nothing", async (t) => {
  const example = /^```yaml\n(limits:\n {2}crawlers[\s\S]*?)^```/m.exec(read("docs/policies.md"))?.[1] ?? "";
  const all = new Map(files.map(({ name }) => [name, readFileSync(join(shippedDirectory, name), "utf8")]));
  all.set("85-crawlers.yaml", example);
  const policy = loadPolicy({
    directory: "policies",
    readDirectory: () => [...all.keys()],
    readFile: (path) => all.get(path.split("/").at(-1) ?? "") ?? "",
    settings: settingsFor("standard"),
  });
  if (!policy.ok) throw new Error(policy.error.map(({ place, thing }) => `${place} ${thing}`).join("\n"));
  const ruleOf = (path: string, agent: string) =>
    decide(policy.value, { ...factsFor({ path }), fields: ["User-Agent", agent] }, { knownSession: false })
      .reason.rule;
  t.equal(
    ruleOf("/shop", "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)"),
    "crawlers-unwanted",
  );
  t.equal(ruleOf("/robots.txt", "gptbot"), "odoo");
  t.equal(ruleOf("/shop", "Mozilla/5.0 (compatible; Googlebot/2.1)"), "crawlers");
  t.equal(ruleOf("/english/web/database/manager", "Googlebot"), "database-manager");
  t.equal(ruleOf("/shop", "Mozilla/5.0 (X11) Firefox/140.0"), "odoo");
});

t.test("every field and event of the log is in the documentation", async (t) => {
  const text = read("docs/operations.md");
  const record = {
    type: "access",
    wallMs: 0,
    id: "1",
    client: "",
    peer: "",
    protocol: "",
    method: "",
    host: "",
    target: "",
    status: 0,
    bytesIn: 0,
    bytesOut: 0,
    rule: "",
    verdict: "",
    limit: null,
    failure: null,
    cache: null,
    totalMs: 0,
    upstreamMs: null,
    lane: null,
    queueMs: 0,
    userAgent: "",
  };
  for (const name of Object.keys(lineOf(record as AccessRecord).fields))
    t.ok(text.includes(`\`${name}\``), name);
  const events: Readonly<Record<GatewayEvent["type"], true>> = {
    access: true,
    refused: true,
    denied: true,
    limited: true,
    login: true,
    strike: true,
    ban: true,
    "ban-lifted": true,
    "session-moved": true,
    "payment-failed": true,
    "crawler-checked": true,
    "upstream-failed": true,
    shed: true,
    "member-down": true,
    "member-up": true,
    "odoo-full": true,
    "odoo-away": true,
    "odoo-back": true,
    "csp-report": true,
    "untrusted-forwarding": true,
    "unknown-host": true,
    listening: true,
    "plan-loaded": true,
    "self-checked": true,
    "reload-refused": true,
    "certificate-loaded": true,
    "certificate-ordered": true,
    "certificate-renewed": true,
    "certificate-failed": true,
    "certificate-expiring": true,
    "certificate-missing": true,
    "bus-fallback": true,
    "bus-restored": true,
    maintenance: true,
    "hsts-ramp": true,
    alert: true,
    draining: true,
    stopped: true,
    warning: true,
    error: true,
  };
  for (const name of Object.keys(events)) t.ok(text.includes(`\`${name}\``), `event ${name}`);
});

t.test("everything people are told is in the documentation", async (t) => {
  const text = read("docs/operations.md").split("\n## Alerts")[1]?.split("\n## ")[0] ?? "";
  for (const name of alertNames) t.ok(text.includes(`| \`${name}\` |`), name);
  const rules = [...read("docs/prometheus/alerts.yml").matchAll(/- alert: (\w+)/g)].map(
    ([, name = ""]) => name,
  );
  t.ok(rules.length > alertNames.length, "the rules were found");
  for (const name of rules) t.ok(text.includes(`\`${name}\``), `${name}, told or not`);
});

t.test("every metric is in the documentation", async (t) => {
  const now = (): MetricsNow => {
    throw new Error("names and texts only: nobody asks how things stand");
  };
  const counters = createCounters();
  const families = gatewayMetrics({ counters: () => counters.snapshot(), tally: createTally(), now });
  const rows = families.map((family) => {
    const labels = family.kind === "histogram" ? ["le", ...family.labels] : family.labels;
    return [`\`${family.name}\``, family.kind, labels.map((one) => `\`${one}\``).join(" "), family.help];
  });
  t.ok(rows.length > 25, "the metrics were found");
  const made = table(["metric", "type", "labels", "meaning"], rows);
  holds(t, "docs/operations.md", "metrics", `${sourceNote("src/observe/gateway-metrics.ts")}\n\n${made}`);
});

t.test("every key of a policy file is in the documentation", async (t) => {
  const text = read("docs/policies.md");
  const grammar: unknown = JSON.parse(read("policies/policy.schema.json"));
  const keys = [...keysOf(grammar)];
  t.ok(keys.length > 40, "the keys were found");
  for (const key of keys) t.match(text, new RegExp(`\\b${key}\\b`), key);
});

/** Names of all properties of a JSON Schema. */
function* keysOf(schema: unknown): Generator<string> {
  if (typeof schema !== "object" || schema === null) return;
  for (const [name, value] of Object.entries(schema)) {
    if (name === "properties") yield* Object.keys(value);
    yield* keysOf(value);
  }
}

t.test("every warning of the log is in the documentation", async (t) => {
  const table = read("docs/operations.md").split("What warnings are about:")[1]?.split("\n## ")[0] ?? "";
  const source = readdirSync(join(root, "src"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => read(`src/${name}`))
    .join("\n");
  const words = [...source.matchAll(/type: "warning",\s*what: ["`]([A-Za-z_ -]+)/g)].map(
    ([, what = ""]) => what,
  );
  t.ok(words.length > 15, "the warnings were found");
  for (const what of words) t.ok(table.includes(`\`${what}`), what);
});

const documents = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].concat(
  readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name.replaceAll("\\", "/")}`),
);

t.test("links lead somewhere", async (t) => {
  for (const path of documents) {
    for (const [, link = ""] of read(path).matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(link)) continue;
      const [file = "", anchor] = link.split("#");
      const target = file === "" ? join(root, path) : join(root, dirname(path), file);
      t.ok(existsSync(target), `${path}: ${link}`);
      if (anchor === undefined) continue;
      const headings = [...readFileSync(target, "utf8").matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) =>
        heading
          .toLowerCase()
          .replace(/[^a-z0-9 -]/g, "")
          .replaceAll(" ", "-"),
      );
      t.ok(headings.includes(anchor), `${path}: ${link}`);
    }
  }
});

t.test("commands of the documentation exist, and those that end are run", async (t) => {
  const { scripts } = JSON.parse(read("package.json"));
  const npmOwn = new Set(["ci", "start", "test"]);
  for (const path of documents) {
    // `sh no-run` needs Docker, root or an operator's own files.
    for (const [, block = ""] of read(path).matchAll(/^```sh\n([\s\S]*?)^```/gm)) {
      for (const line of block.trim().split("\n")) {
        const [first = "", second = "", third = ""] = line.split(" ");
        if (first === "export") t.match(line, /^export(?: [A-Z_]+=\S+)+$/, line);
        else if (first === "npm" && second === "run") t.ok(third in scripts, `${path}: ${line}`);
        else if (first === "npm")
          t.ok(npmOwn.has(second) && (second === "ci" || second in scripts), `${path}: ${line}`);
        else if (first === "npx" && second === "odoo-gateway")
          await runs(t, `${path}: ${line}`, line.slice(17));
        else t.fail(`${path}: nobody checks "${line}"; mark the block "sh no-run" when it cannot be run`);
      }
    }
  }
});

/** Servers are asked for their help only; what ends by itself is run. */
async function runs(t: Pick<Tap, "equal" | "match">, name: string, text: string): Promise<void> {
  const args = [...text.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
  const command = args[0] ?? "";
  const serves = command === "run" || command === "demo" || command === "health";
  const { status, out } = await call(serves ? [...args, "--help"] : args);
  t.equal(status, 0, name);
  t.match(out, /\S/, `${name} prints something`);
}

function call(args: readonly string[]): Promise<{ status: number; out: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { cwd: folder, env: {} }, (_error, out) => {
      resolve({ status: child.exitCode ?? -1, out });
    });
  });
}

t.test("outputs shown in the README are real", async (t) => {
  const text = read("README.md");
  const shown = [...text.matchAll(/<!-- output of: (.*) -->\n```text\n([\s\S]*?)```/g)];
  t.equal(shown.length, 1);
  for (const [whole, command = "", block] of shown) {
    const args = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
    const { out } = await call(args);
    if (process.env["UPDATE_DOCS"] === "1")
      writeFileSync(
        join(root, "README.md"),
        text.replace(whole, () => `<!-- output of: ${command} -->\n\`\`\`text\n${out}\`\`\``),
      );
    else t.equal(block, out, `${command}; UPDATE_DOCS=1 writes it anew`);
  }
});
