import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { type CspFinding, cspReportsPerRequestMax, readCspReports } from "../../src/guard/csp-report.ts";
import {
  CspReports,
  cspClientsMax,
  cspEntriesMax,
  cspEntriesOfOneClientMax,
  cspForgottenMs,
} from "../../src/guard/csp-reports.ts";

const isOurs = (host: string) => ["erp.example.com", "shop.example.com", "[2001:db8::7]"].includes(host);
const page = "https://erp.example.com/shop";

/** As `report-uri` sends it (CSP 2). */
const old = (report: Readonly<Record<string, unknown>>) =>
  readCspReports(
    "application/csp-report",
    JSON.stringify({
      "csp-report": {
        "document-uri": page,
        referrer: "",
        "violated-directive": "script-src-elem",
        "effective-directive": "script-src-elem",
        "original-policy": "default-src 'self'",
        disposition: "report",
        "blocked-uri": "https://cdn.example.net/x.js",
        "status-code": 200,
        ...report,
      },
    }),
    isOurs,
  );

const one = (report: Readonly<Record<string, unknown>>) => old(report)?.findings[0] ?? null;

t.test("both forms of a report are read", async (t) => {
  const finding = {
    directive: "script-src",
    source: "https://cdn.example.net",
    page: "erp.example.com/shop",
  };
  t.same(old({}), { findings: [finding], ignored: 0 });
  const body = {
    documentURL: page,
    effectiveDirective: "script-src-elem",
    blockedURL: "https://cdn.example.net/x.js?y",
    disposition: "report",
  };
  const list = [
    { type: "csp-violation", age: 1, url: page, user_agent: "x", body },
    { type: "deprecation", age: 1, url: page, body: { id: "x" } },
  ];
  const read = readCspReports("application/reports+json", JSON.stringify(list), isOurs);
  t.same(read, { findings: [finding], ignored: 1 });
  t.same(readCspReports("application/reports+json", "[]", isOurs), { findings: [], ignored: 0 });
  const many = JSON.stringify(Array.from({ length: 100 }, () => list[0]));
  const cut = readCspReports("application/reports+json", many, isOurs);
  t.equal(cut?.findings.length, cspReportsPerRequestMax);
  t.equal(cut?.ignored, 100 - cspReportsPerRequestMax);
});

t.test("what is no report is none", async (t) => {
  for (const text of [
    "",
    "{",
    "null",
    "7",
    "[]",
    '"x"',
    "{}",
    '{"csp-report":null}',
    '{"csp-report":"x"}',
    "[".repeat(60_000),
  ])
    t.equal(readCspReports("application/csp-report", text, isOurs), null, text.slice(0, 30));
  for (const text of ["", "{}", "null", '{"type":"csp-violation"}', "[".repeat(60_000)])
    t.equal(readCspReports("application/reports+json", text, isOurs), null, text.slice(0, 30));
  for (const entry of [null, 7, "x", [], {}, { type: "csp-violation" }, { type: "csp-violation", body: [] }])
    t.same(readCspReports("application/reports+json", JSON.stringify([entry]), isOurs), {
      findings: [],
      ignored: 1,
    });
  const inherited = '{"csp-report":{"__proto__":{"document-uri":"https://erp.example.com/"}}}';
  t.same(readCspReports("application/csp-report", inherited, isOurs), { findings: [], ignored: 1 });
});

t.test("no path, query, user or token of anybody is kept", async (t) => {
  const token = "0123456789abcdef0123456789abcdef";
  for (const [field, value, kept] of [
    ["document-uri", `${page}?token=secret#x`, { page: "erp.example.com/shop" }],
    [
      "document-uri",
      `https://erp.example.com/my/orders/7/${token}`,
      { page: "erp.example.com/my/orders/7/***" },
    ],
    ["document-uri", "https://me:pw@erp.example.com:8443/a", { page: "erp.example.com:8443/a" }],
    ["document-uri", "https://erp.example.com/\u202egpj\u001b[31m", { page: /^erp\.example\.com\/[!-~]+$/ }],
    ["document-uri", `https://erp.example.com/${"a/".repeat(500)}`, { page: /^.{200}…$/ }],
    [
      "blocked-uri",
      `https://me:pw@cdn.example.net:8443/${token}?secret`,
      { source: "https://cdn.example.net:8443" },
    ],
    ["blocked-uri", "https://BÜCHER.example/x", { source: "https://xn--bcher-kva.example" }],
    ["blocked-uri", "data:text/javascript,secret", { source: "data" }],
    ["blocked-uri", "blob:https://erp.example.com/uuid", { source: "blob" }],
    ["blocked-uri", "inline", { source: "inline" }],
    ["blocked-uri", "eval", { source: "eval" }],
    ["blocked-uri", "wss://chat.example.net/secret", { source: "wss://chat.example.net" }],
  ] as const)
    t.match(one({ [field]: value }), kept, `${field} ${value.slice(0, 60)}`);
  t.match(one({ "effective-directive": undefined, "violated-directive": "img-src 'self' data:" }), {
    directive: "img-src",
  });
});

t.test("extensions, the site itself, other sites and odd words are noise", async (t) => {
  for (const report of [
    ...[
      "chrome-extension://abc/x.js",
      "chrome-extension",
      "moz-extension://1/x.js",
      "safari-web-extension://1/x",
    ].map((uri) => ({ "blocked-uri": uri })),
    ...[
      "about:blank",
      "about",
      "chrome",
      "webkit-masked-url://hidden/",
      "file:///etc/passwd",
      "//x",
      "x y",
    ].map((uri) => ({ "blocked-uri": uri })),
    { "blocked-uri": "https://erp.example.com/web/assets/x.js" },
    { "blocked-uri": "http://erp.example.com/x.js" },
    { "blocked-uri": `https://${"a".repeat(400)}.example/` },
    { "blocked-uri": "https://cdn.example.net/x.js", "source-file": "chrome-extension://abc/y.js" },
    { "source-file": "moz-extension" },
    { "document-uri": "https://evil.example/" },
    { "document-uri": "https://erp.example.com.evil.example/" },
    { "document-uri": "about:srcdoc" },
    { "document-uri": "ftp://erp.example.com/" },
    { "document-uri": 7 },
    { "document-uri": undefined },
    { "effective-directive": "trusted-types" },
    { "effective-directive": "x".repeat(10_000) },
    { "effective-directive": "__proto__" },
  ])
    t.same(old(report), { findings: [], ignored: 1 }, JSON.stringify(report).slice(0, 80));
  t.match(
    one({ "blocked-uri": "https://shop.example.com/x.js" }),
    { source: "https://shop.example.com" },
    "another name of ours is another site to the policy",
  );
  t.match(one({ "document-uri": "https://[2001:db8::7]:8443/x" }), { page: "[2001:db8::7]:8443/x" });
});

function table() {
  const clock = manualClock();
  const told: CspFinding[] = [];
  const reports = new CspReports({ clock, secret: Buffer.alloc(32), news: (found) => told.push(found) });
  const report = (client: string, ...sources: string[]) =>
    reports.take(client, {
      findings: sources.map((source) => ({ directive: "script-src", source, page: "erp.example.com/" })),
      ignored: 0,
    });
  const sources = () => new Set(reports.list().map(({ source }) => source));
  return { clock, told, reports, report, sources };
}

t.test("reports are summed up, and told once when a second client has one", async (t) => {
  const { reports, report, told, clock } = table();
  report("192.0.2.1", "https://a.example", "https://a.example", "https://b.example");
  t.same(told, []);
  clock.advance(1_000);
  report("192.0.2.2", "https://a.example");
  report("192.0.2.3", "https://a.example");
  t.same(told, [{ directive: "script-src", source: "https://a.example", page: "erp.example.com/" }]);
  t.match(reports.list(), [
    { source: "https://a.example", count: 4, clients: 3 },
    { source: "https://b.example", count: 1, clients: 1 },
  ]);
  const [a] = reports.list();
  t.equal((a?.lastWallMs ?? 0) - (a?.firstWallMs ?? 0), 1_000);
  for (let client = 0; client < 100; client += 1) report(`198.51.100.${client}`, "https://a.example");
  t.equal(reports.list()[0]?.clients, cspClientsMax);
  t.same([...reports.byDirective], [["script-src", 105]]);
  t.equal(reports.clear(), 2);
  t.same(reports.list(), []);
});

t.test("one client that invents sources pushes out nobody's but its own", async (t) => {
  const { report, sources, reports } = table();
  report("192.0.2.1", "https://seen-by-one.example");
  for (let i = 0; i < 2_000; i += 1) report("203.0.113.9", `https://flood-${i}.example`);
  t.equal(reports.list().length, 1 + cspEntriesOfOneClientMax);
  t.ok(sources().has("https://seen-by-one.example"));
  t.ok(sources().has("https://flood-1999.example"));
});

t.test("two addresses that vouch for each other do not fill the table", async (t) => {
  const { report, sources, reports } = table();
  for (let i = 0; i < 1_000; i += 1)
    for (const client of i % 2 === 0 ? ["192.0.2.1", "192.0.2.2"] : ["192.0.2.2", "192.0.2.1"])
      report(client, `https://flood-${i}.example`);
  t.ok(reports.list().length <= 2 * cspEntriesOfOneClientMax, `${reports.list().length} entries`);
  report("198.51.100.1", "https://real.example");
  t.ok(sources().has("https://real.example"));
});

t.test("many clients that invent sources push out nothing two have reported", async (t) => {
  const { report, sources, reports, clock } = table();
  for (const client of ["192.0.2.1", "192.0.2.2"]) report(client, "https://real.example");
  for (let i = 0; i < 3_000; i += 1) {
    clock.advance(1);
    report(`10.0.${i >> 8}.${i & 255}`, `https://flood-${i}.example`);
  }
  t.equal(reports.list().length, cspEntriesMax);
  t.ok(sources().has("https://real.example"));
});

t.test(
  "a table full of what several reported takes newcomers only when something is forgotten",
  async (t) => {
    const { report, sources, reports, clock } = table();
    for (let i = 0; i < cspEntriesMax; i += 1)
      for (const client of [1, 2]) report(`10.${client}.${i >> 8}.${i & 255}`, `https://s-${i}.example`);
    report("192.0.2.1", "https://new.example");
    t.notOk(sources().has("https://new.example"));
    t.equal(reports.turnedAway, 1);
    clock.advance(cspForgottenMs);
    report("192.0.2.1", "https://new.example");
    t.ok(sources().has("https://new.example"));
    t.equal(reports.list().length, cspEntriesMax);
  },
);
