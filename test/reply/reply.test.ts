import t from "tap";
import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { parseIp } from "../../src/base/ip.ts";
import type { RequestFacts } from "../../src/message/facts.ts";
import { allowsSource, guideCsp, mergeCsp, odooCspDirectives, withReports } from "../../src/reply/csp.ts";
import { errorAnswer } from "../../src/reply/pages.ts";
import { createRedirects, redirectAnswer } from "../../src/reply/redirects.ts";
import { mergeSecurity, type SecurityClass, securityHeaders } from "../../src/reply/security.ts";
import type { Preset } from "../../src/settings/settings.ts";

const name = (host: string, port: number | null = null) => ({ host: host as HostName, port });
const settingsOf = (preset: Preset) => ({
  preset,
  domains: [name("erp.example.com"), name("shop.example.com", 8443), name("[::1]")],
  hstsMaxAgeSeconds: 31_536_000,
  hstsSubdomains: true,
  hstsPreload: false,
  cspScriptSources: ["https://chat.example.net"],
  cspReports: true,
  upgradeInsecure: false,
});
const publicClass = (preset: Preset) => securityHeaders(settingsOf(preset)).classFor("erp.example.com", true);

function merged(headers: SecurityClass, upstream: string[]): Map<string, string> {
  const out: string[] = [];
  mergeSecurity(headers, upstream, out);
  return table(t, out);
}

/** By lower-case name; a field that stands twice fails the test. */
function table(on: Pick<typeof t, "notOk">, fields: readonly string[]): Map<string, string> {
  const found = new Map<string, string>();
  for (let i = 0; i < fields.length; i += 2) {
    const lower = (fields[i] ?? "").toLowerCase();
    if (lower !== "set-cookie") on.notOk(found.has(lower), `${lower} stands once`);
    found.set(lower, fields[i + 1] ?? "");
  }
  return found;
}

t.test("standard: every field once, and nothing that breaks Odoo", (t) => {
  const got = merged(publicClass("standard"), [
    "Content-Type",
    "text/html",
    "Set-Cookie",
    "a=b",
    "Set-Cookie",
    "c=d",
  ]);
  t.equal(got.get("strict-transport-security"), "max-age=31536000; includeSubDomains");
  t.equal(got.get("x-content-type-options"), "nosniff");
  t.equal(got.get("referrer-policy"), "strict-origin-when-cross-origin");
  t.equal(got.get("x-frame-options"), "SAMEORIGIN");
  t.equal(got.get("cross-origin-opener-policy"), undefined, "a window that comes back finds its opener");
  t.equal(got.get("x-permitted-cross-domain-policies"), "none");
  const permissions = got.get("permissions-policy") ?? "";
  for (const needed of [
    "camera=(self",
    "microphone=(self",
    "geolocation=(self)",
    "payment=(self",
    "display-capture=(self",
  ]) {
    t.ok(permissions.includes(needed), needed);
  }
  for (const untouched of [
    "autoplay",
    "fullscreen",
    "encrypted-media",
    "picture-in-picture",
    "clipboard-write",
    "publickey-credentials",
  ]) {
    t.notOk(permissions.includes(untouched), `${untouched} stays as the browser has it`);
  }
  const csp = got.get("content-security-policy-report-only") ?? "";
  t.match(csp, /^default-src 'self';/);
  for (const needed of [
    "'unsafe-inline' 'unsafe-eval' blob:",
    "wss://erp.example.com:*",
    "wss://shop.example.com:*",
    "worker-src 'self' blob:",
    "frame-ancestors 'self'",
    "https://chat.example.net;style-src 'self' 'unsafe-inline' https:;",
  ]) {
    t.ok(csp.includes(needed), needed);
  }
  t.notOk(csp.includes("::1"), "an IPv6 literal is no host-source");
  for (const absent of [
    "content-security-policy",
    "x-xss-protection",
    "cross-origin-resource-policy",
    "x-robots-tag",
    "origin-agent-cluster",
  ]) {
    t.notOk(got.has(absent), absent);
  }
  t.end();
});

t.test("what Odoo says about frames, referrers and policies stays, and is not doubled", (t) => {
  for (const preset of ["standard", "strict", "staging", "nginx-guide"] as const) {
    const got = merged(publicClass(preset), [
      "x-frame-options",
      "DENY",
      "Referrer-Policy",
      "no-referrer",
      "Permissions-Policy",
      "camera=()",
      "Strict-Transport-Security",
      "max-age=1",
      "X-Content-Type-Options",
      "nosniff",
    ]);
    t.equal(got.get("x-frame-options"), "DENY", preset);
    t.equal(got.get("referrer-policy"), "no-referrer", preset);
    t.equal(got.get("permissions-policy"), "camera=()", preset);
    t.match(got.get("strict-transport-security"), /^max-age=31536000/, preset);
  }
  const framed = merged(publicClass("standard"), [
    "Content-Security-Policy",
    "frame-ancestors https://partner.example",
  ]);
  t.equal(framed.get("content-security-policy"), "frame-ancestors https://partner.example");
  t.notOk(framed.has("x-frame-options"), "would contradict Odoo's own frame policy");
  t.end();
});

t.test("what other sites may frame says nothing of frames, and Odoo's word stays", (t) => {
  for (const preset of ["standard", "strict", "staging", "nginx-guide"] as const) {
    const framed = securityHeaders(settingsOf(preset), "any").classFor("erp.example.com", true);
    const alone = merged(framed, []);
    t.notOk(alone.has("x-frame-options"), preset);
    for (const field of ["content-security-policy", "content-security-policy-report-only"])
      t.notMatch(alone.get(field) ?? "", /frame-ancestors/, `${preset} ${field}`);
    const usual = merged(publicClass(preset), []);
    t.same(
      [...alone.keys()],
      [...usual.keys()].filter((field) => field !== "x-frame-options"),
      "and everything else",
    );
    const denied = merged(framed, [
      "X-Frame-Options",
      "DENY",
      "Content-Security-Policy",
      "frame-ancestors 'none'",
    ]);
    t.equal(denied.get("x-frame-options"), "DENY");
    t.match(denied.get("content-security-policy"), /^frame-ancestors 'none'/);
    t.match(framed.own.join("\n"), /frame-ancestors 'none'/, "pages of ours are framed by nobody");
  }
  t.end();
});

t.test("strict enforces one policy: Odoo's directives win, ours fill the rest", (t) => {
  const strict = publicClass("strict");
  const alone = merged(strict, []).get("content-security-policy") ?? "";
  t.match(alone, /^default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'/);
  t.notOk(merged(strict, []).has("content-security-policy-report-only"));
  t.equal(merged(strict, []).get("cross-origin-opener-policy"), "same-origin-allow-popups");
  const both =
    merged(strict, ["Content-Security-Policy", "Frame-Ancestors 'none' ;"]).get("content-security-policy") ??
    "";
  t.match(both, /^Frame-Ancestors 'none'; default-src 'self'; /);
  t.equal(both.split(/frame-ancestors/i).length, 2);
  for (let i = 0; i < 3; i += 1) {
    t.equal(
      merged(strict, ["content-security-policy", "default-src 'none'"]).get("content-security-policy"),
      "default-src 'none'",
    );
  }
  const two = merged(strict, ["Content-Security-Policy", "a 'self'", "Content-Security-Policy", "b 'self'"]);
  t.equal(two.get("content-security-policy"), "a 'self', b 'self'", "two policies cannot be written as one");
  t.equal(mergeCsp("", odooCspDirectives([])), mergeCsp(" ; ", odooCspDirectives([])));
  t.end();
});

t.test("our policies name the address for reports, and Odoo's own are left as they are", (t) => {
  const uri = "report-uri /.well-known/csp-report";
  for (const preset of ["standard", "strict", "staging"] as const) {
    const field = preset === "strict" ? "content-security-policy" : "content-security-policy-report-only";
    for (const headers of [
      publicClass(preset),
      securityHeaders(settingsOf(preset), "any").classFor("erp.example.com", true),
      securityHeaders(settingsOf(preset)).classFor("erp.example.com", false),
    ]) {
      const got = merged(headers, []);
      t.match(got.get(field), new RegExp(`; ?${uri}; ?report-to csp-report$`), preset);
      t.equal(got.get("reporting-endpoints"), 'csp-report="/.well-known/csp-report"');
      t.notOk(headers.own.includes("Reporting-Endpoints"), "a page of ours reports nothing");
    }
    const alone = "default-src 'none'";
    t.equal(
      merged(publicClass(preset), ["Content-Security-Policy", alone]).get("content-security-policy"),
      alone,
    );
    const only = "img-src 'self'; report-uri /odoo";
    const reportOnly = merged(publicClass(preset), ["Content-Security-Policy-Report-Only", only]);
    t.equal(reportOnly.get("content-security-policy-report-only"), only);
    const out: string[] = [];
    mergeSecurity(publicClass(preset), ["Reporting-Endpoints", 'x="/x"'], out);
    t.same(
      out.filter((_, i) => out[i - 1] === "Reporting-Endpoints"),
      ['x="/x"', 'csp-report="/.well-known/csp-report"'],
      "a list: both hold",
    );
    const silent = securityHeaders({ ...settingsOf(preset), cspReports: false }).classFor("a.example", true);
    t.notMatch([...merged(silent, [])].join(), /csp-report|report-uri/i);
  }
  const ours = withReports(odooCspDirectives([]));
  t.match(
    mergeCsp("frame-ancestors 'none'", ours),
    new RegExp(`^frame-ancestors 'none'; .*; ${uri}; report-to csp-report$`),
  );
  for (const own of ["report-uri /odoo", "Report-To x"]) {
    t.match(mergeCsp(`${own}; img-src 'self'`, ours), new RegExp(`^${own}; img-src 'self'; default-src `));
    t.notMatch(mergeCsp(own, ours), /csp-report/, "reports go where Odoo wants them");
  }
  t.end();
});

t.test("http:// parts of pages are loaded over https where that is wanted, and nothing else changes", (t) => {
  for (const preset of ["standard", "strict", "nginx-guide"] as const) {
    const headers = securityHeaders({ ...settingsOf(preset), upgradeInsecure: true });
    const policies = (secure: boolean) => {
      const out: string[] = [];
      const odoo = ["Content-Security-Policy", "frame-ancestors 'none'"];
      mergeSecurity(headers.classFor("erp.example.com", secure), odoo, out);
      return out.filter((_, i) => out[i - 1] === "Content-Security-Policy");
    };
    t.match(policies(true)[0], /^frame-ancestors 'none'/, "Odoo's own stands");
    t.same(policies(true).slice(1), ["upgrade-insecure-requests"]);
    t.same(policies(false).slice(1), [], "plain HTTP was opened on purpose");
  }
  t.end();
});

t.test("what a report names is held against the policy of now", (t) => {
  const ours = odooCspDirectives([], ["https://cdn.example.com", "https://*.wide.example"]);
  for (const [directive, source, allowed] of [
    ["script-src", "https://cdn.example.com", true],
    ["script-src", "https://a.b.wide.example", true],
    ["script-src", "https://js.stripe.com", true],
    ["script-src", "https://wide.example", false],
    ["script-src", "https://evil-wide.example", false],
    ["script-src", "http://a.wide.example", false],
    ["script-src", "https://cdn.example.com:8443", false],
    ["script-src", "https://unpkg.com", false],
    ["script-src", "inline", true],
    ["script-src", "eval", true],
    ["script-src", "data", false],
    ["style-src", "https://any.example", true],
    ["img-src", "http://any.example", false],
    ["img-src", "data", true],
    ["connect-src", "wss://any.example", false],
    ["manifest-src", "https://any.example", false],
    ["script-src", "nonsense", false],
  ] as const)
    t.equal(allowsSource(ours, directive, source), allowed, `${directive} ${source}`);
  t.end();
});

t.test("nginx-guide has the guide's values, letter by letter", (t) => {
  const got = merged(publicClass("nginx-guide"), []);
  t.strictSame(
    [...got].sort(),
    [
      ["content-security-policy", guideCsp],
      ["permissions-policy", "camera=(), microphone=(), geolocation=(), payment=()"],
      ["referrer-policy", "strict-origin-when-cross-origin"],
      ["strict-transport-security", "max-age=31536000; includeSubDomains; preload"],
      ["x-content-type-options", "nosniff"],
      ["x-frame-options", "SAMEORIGIN"],
      ["x-xss-protection", "1; mode=block"],
    ].sort(),
  );
  t.equal(
    merged(publicClass("nginx-guide"), ["Content-Security-Policy", "frame-ancestors 'none'"]).get(
      "content-security-policy",
    ),
    "frame-ancestors 'none'; default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'",
  );
  t.end();
});

t.test("HSTS: a year for names, minutes for localhost and addresses, never on plain HTTP", (t) => {
  for (const preset of ["standard", "strict", "staging", "nginx-guide"] as const) {
    const headers = securityHeaders(settingsOf(preset));
    const hsts = (host: string | null, secure: boolean) =>
      merged(headers.classFor(host, secure), []).get("strict-transport-security");
    for (const host of ["localhost", "odoo.localhost", "127.0.0.1", "192.0.2.7", "[::1]", null]) {
      t.equal(hsts(host, true), "max-age=300", `${preset} ${host}`);
    }
    t.match(hsts("erp.example.com", true), /^max-age=31536000; includeSubDomains/);
    t.equal(hsts("erp.example.com", false), undefined);
    t.notOk(headers.classFor("erp.example.com", false).own.includes("Strict-Transport-Security"));
  }
  const preload = securityHeaders({
    ...settingsOf("standard"),
    hstsPreload: true,
    hstsMaxAgeSeconds: 63_072_000,
  });
  t.equal(
    merged(preload.classFor("a.example", true), []).get("strict-transport-security"),
    "max-age=63072000; includeSubDomains; preload",
  );
  t.end();
});

t.test("answers of our own carry all fields too, and a policy that allows their page nothing", (t) => {
  for (const preset of ["standard", "strict", "staging", "nginx-guide"] as const) {
    const own = table(t, publicClass(preset).own);
    for (const needed of [
      "strict-transport-security",
      "x-content-type-options",
      "referrer-policy",
      "x-frame-options",
      "permissions-policy",
    ]) {
      t.ok(own.has(needed), `${preset} ${needed}`);
    }
    t.match(
      own.get("content-security-policy"),
      /^default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'/,
    );
    t.equal(own.get("x-robots-tag"), preset === "staging" ? "noindex, nofollow" : undefined);
  }
  t.equal(merged(publicClass("staging"), ["X-Robots-Tag", "all"]).get("x-robots-tag"), "noindex, nofollow");
  t.end();
});

function factsOf(method: string, path: string, contentType: string, fields: string[]): RequestFacts {
  const ip = parseIp("203.0.113.9");
  if (ip === null) throw new Error("address");
  const canonical = path as CanonicalPath;
  return {
    protocol: "HTTP/1.1",
    untrustedForwarding: null,
    method,
    target: path,
    path: canonical,
    paths: [canonical],
    pathsLower: [canonical],
    query: "",
    host: "erp.example.com" as HostName,
    authority: "erp.example.com",
    peer: ip,
    client: ip,
    secure: true,
    contentType,
    sessionId: null,
    upgrade: null,
    fields,
  };
}

const page = { exchangeId: "x<1>", detail: "", retryAfterSeconds: null };
const browser = factsOf("GET", "/odoo", "", ["Accept", "text/html,application/xhtml+xml"]);
const rpc = factsOf("POST", "/web/dataset/call_kw/res.partner/read", "application/json", []);
const script = factsOf("POST", "/xmlrpc/2/common", "text/xml", []);

t.test("a browser gets a page that says what happened, and repeats nothing it was sent", (t) => {
  const answer = errorAnswer({
    ...page,
    status: 429,
    facts: browser,
    detail: 'No "<script>".',
    retryAfterSeconds: 13,
  });
  const html = answer.body.toString();
  t.same(answer.fields, [
    "Content-Type",
    "text/html; charset=utf-8",
    "Cache-Control",
    "no-store",
    "Retry-After",
    "13",
  ]);
  t.match(html, "<title>429 Too many requests</title>");
  t.match(html, "No &quot;&lt;script&gt;&quot;. Please try again in 13 seconds.");
  t.match(html, "Exchange <code>x&lt;1&gt;</code>");
  t.match(html, "prefers-color-scheme:dark");
  t.notMatch(html, /<script|https?:|src=|odoo-gateway/i, "self-contained and neutral");
  const large = errorAnswer({
    ...page,
    status: 413,
    facts: browser,
    bodyBytesMax: 128 * 1024 * 1024,
  }).body.toString();
  t.match(large, /limit is 128 ?MiB/);
  t.match(
    errorAnswer({ ...page, status: 503, facts: browser, retryAfterSeconds: 300 }).body.toString(),
    "in 5 minutes",
  );
  t.match(errorAnswer({ ...page, status: 418, facts: browser }).body.toString(), "418 Refused");
  t.end();
});

t.test("a JSON-RPC caller gets an error the web client shows as a calm warning", (t) => {
  for (const status of [400, 403, 404, 429, 502, 503, 504]) {
    const answer = errorAnswer({ ...page, status, facts: rpc, detail: 'So "it" is.', retryAfterSeconds: 7 });
    t.equal(answer.status, status);
    t.equal(answer.fields[1], "application/json; charset=utf-8");
    t.same(JSON.parse(answer.body.toString()), {
      jsonrpc: "2.0",
      id: null,
      error: {
        code: 200,
        message: `Gateway: ${status}`,
        data: {
          name: "odoo.exceptions.UserError",
          message: 'So "it" is. Please try again in 7 seconds. (exchange x<1>)',
          arguments: ['So "it" is. Please try again in 7 seconds. (exchange x<1>)'],
          debug: "",
          context: {},
        },
      },
    });
  }
  t.end();
});

t.test("a JSON-2 caller gets an error as Odoo writes them", (t) => {
  const facts = factsOf("POST", "/json/2/res.partner/read", "application/json", []);
  for (const [status, name] of [
    [404, "NotFound"],
    [413, "RequestEntityTooLarge"],
    [429, "TooManyRequests"],
    [502, "BadGateway"],
  ] as const) {
    const answer = errorAnswer({ ...page, status, facts, detail: "So it is." });
    t.same(answer.fields.slice(0, 2), ["Content-Type", "application/json; charset=utf-8"]);
    t.same(JSON.parse(answer.body.toString()), {
      name: `werkzeug.exceptions.${name}`,
      message: "So it is. (exchange x<1>)",
      arguments: ["So it is. (exchange x<1>)"],
      context: {},
      debug: "",
    });
  }
  t.end();
});

t.test("everybody else gets a line of text, with what the status needs", (t) => {
  const answer = errorAnswer({ ...page, status: 405, facts: script, extraFields: ["Allow", "GET, POST"] });
  t.same(answer.fields, [
    "Content-Type",
    "text/plain; charset=utf-8",
    "Cache-Control",
    "no-store",
    "Allow",
    "GET, POST",
  ]);
  t.equal(
    answer.body.toString(),
    "405 Method not allowed\nThis kind of request is not accepted.\nExchange x<1>\n",
  );
  t.equal(errorAnswer({ ...page, status: 400, facts: null }).fields[1], "text/plain; charset=utf-8");
  t.end();
});

t.test("plain HTTP and old names lead to https, path and query untouched", (t) => {
  const redirect = createRedirects({
    domains: [name("erp.example.com"), name("shop.example.com", 8443), name("[::1]", 8443)],
    redirectDomains: [name("www.example.com"), name("old.example.com", 8443)],
    publicPort: 443,
  });
  const to = (method: string, host: string, secure: boolean, target = "/a%20b?c=%2F&d") =>
    redirect({ method, host: host as HostName, secure, target });
  const rest = "/a%20b?c=%2F&d";
  t.same(to("GET", "erp.example.com", false), { status: 301, location: `https://erp.example.com${rest}` });
  t.same(to("HEAD", "shop.example.com", false), {
    status: 301,
    location: `https://shop.example.com:8443${rest}`,
  });
  t.same(to("POST", "erp.example.com", false), { status: 308, location: `https://erp.example.com${rest}` });
  t.same(to("GET", "[::1]", false), { status: 301, location: `https://[::1]:8443${rest}` });
  t.same(to("GET", "www.example.com", false), { status: 301, location: `https://erp.example.com${rest}` });
  t.same(to("PUT", "old.example.com", true), { status: 308, location: `https://erp.example.com${rest}` });
  t.equal(to("GET", "erp.example.com", true), null);
  const odd = createRedirects({ domains: [name("localhost")], redirectDomains: [], publicPort: 8443 });
  t.match(odd({ method: "GET", host: "localhost" as HostName, secure: false, target: "/" }), {
    location: "https://localhost:8443/",
  });
  t.match(redirectAnswer(303, '/x?"><b').body.toString(), '<a href="/x?&quot;&gt;&lt;b">');
  t.end();
});
