import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { cspReportBytesMax } from "../../src/road/csp-reports.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { h1, h2, hostOf, openHttp2, openTls } from "./clients.ts";

const path = "/.well-known/csp-report";
const one = "Content-Type: application/csp-report";
const list = "Content-Type: application/reports+json";

const reportOf = (gateway: TestGateway, source: string, directive = "script-src-elem") => ({
  "document-uri": `https://${hostOf(gateway)}/shop?order=secret`,
  "effective-directive": directive,
  "blocked-uri": `${source}/x.js?visitor=secret`,
});
const bodyOf = (gateway: TestGateway, source: string, directive?: string) =>
  JSON.stringify({ "csp-report": reportOf(gateway, source, directive) });

async function report(gateway: TestGateway, body: string, from = "127.0.0.1", type = one) {
  const socket = await openTls(gateway, from);
  return h1(gateway, `POST ${path}`, [type], body, { socket });
}

async function admin(gateway: TestGateway, start: string, ...lines: string[]) {
  const head = [`${start} HTTP/1.1`, `Host: 127.0.0.1:${gateway.adminPort}`, "Connection: close", ...lines];
  return rawTalk(gateway.adminPort, [...head, "", ""].join("\r\n"));
}

async function cli(gateway: TestGateway, ...args: string[]) {
  const main = new URL("../../src/main.js", import.meta.url).pathname;
  const env = { PATH: process.env["PATH"], ADMIN_LISTEN: `127.0.0.1:${gateway.adminPort}` };
  const child = spawn(process.execPath, [main, "csp", ...args], { env, cwd: gateway.folder });
  let out = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => {
      out += chunk;
    });
  const [code] = await once(child, "close");
  return { code, out };
}

t.test("a report is taken with 204, over HTTP/1.1 and HTTP/2, and Odoo hears nothing", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  gateway.demo.forget();
  const answer = await report(gateway, bodyOf(gateway, "https://cdn.example.net"));
  t.equal(answer.status, 204);
  t.equal(answer.body, "");
  t.notMatch(answer.text, /^(?:set-cookie|content-length|content-type|transfer-encoding):/im);
  t.match(answer.text, /^Cache-Control: no-store\r$/m);
  const body = {
    documentURL: `https://${hostOf(gateway)}/shop`,
    effectiveDirective: "img-src",
    blockedURL: "http://x.example/1",
  };
  const reports = JSON.stringify([{ type: "csp-violation", age: 0, body }]);
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const fields = { ":method": "POST", ":path": path, "content-type": "application/reports+json" };
  const second = await h2(session, gateway, fields, reports);
  t.equal(second.status, 204);
  t.equal(second.headers["set-cookie"], undefined);
  t.equal(gateway.demo.requests.length, 0);
  const told: unknown = JSON.parse((await admin(gateway, "GET /csp")).body);
  t.match(told, {
    mode: "report",
    preset: "standard",
    entries: [
      { directive: "script-src", source: "https://cdn.example.net", count: 1, clients: 1, allowed: false },
      { directive: "img-src", source: "http://x.example", count: 1, clients: 1, allowed: false },
    ],
  });
  t.notMatch(JSON.stringify([told, gateway.events]), /secret/, "no query of anybody is kept or logged");
  t.same(
    gateway.records().map(({ rule, verdict, status }) => [rule, verdict, status]),
    [1, 2].map(() => ["csp-report", "answer", 204]),
  );
  t.notOk(
    gateway.events.some(({ type }) => type === "csp-report"),
    "one client is no news",
  );
  await report(gateway, bodyOf(gateway, "https://cdn.example.net"), "127.0.0.2");
  t.match(
    gateway.events.filter(({ type }) => type === "csp-report"),
    [{ directive: "script-src", source: "https://cdn.example.net", page: `${hostOf(gateway)}/shop` }],
  );
  const metrics = (await admin(gateway, "GET /metrics")).body;
  t.match(metrics, /^odoo_gateway_csp_reports_total\{directive="script-src"\} 2$/m);
  t.match(metrics, /^odoo_gateway_csp_reports_ignored_total 0$/m);
});

t.test("what is no report is refused with its status, and never reaches Odoo", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const good = bodyOf(gateway, "https://cdn.example.net");
  const ask = async (start: string, lines: string[], body: string, status: number, code: string) => {
    gateway.demo.forget();
    const answer = await h1(gateway, start, lines, body);
    t.equal(answer.status, status, `${start} ${lines.join(" ")} ${body.slice(0, 20)}`);
    t.equal(gateway.demo.requests.length, 0);
    t.equal(gateway.records().at(-1)?.rule, code);
    return answer.text;
  };
  for (const method of ["GET", "HEAD", "PUT", "OPTIONS"])
    t.match(await ask(`${method} ${path}`, [], "", 405, "csp-report-method"), /\r\nAllow: POST\r\n/);
  for (const type of ["application/json", "text/plain", "application/x-www-form-urlencoded"])
    await ask(`POST ${path}`, [`Content-Type: ${type}`], good, 415, "csp-report-type");
  t.match(
    await ask(`POST ${path}`, [], good, 415, "csp-report-type"),
    /\r\nAccept: application\/csp-report, /,
  );
  await ask(`POST ${path}`, [one, "Content-Encoding: gzip"], good, 415, "csp-report-type");
  await ask(`POST ${path}`, [one], "", 400, "csp-report-malformed");
  await ask(`POST ${path}`, [one], "{", 400, "csp-report-malformed");
  await ask(`POST ${path}`, [one], "[]", 400, "csp-report-malformed");
  await ask(`POST ${path}`, [list], good, 400, "csp-report-malformed");
  await ask(`POST ${path}`, [one], "x".repeat(cspReportBytesMax + 1), 413, "csp-report");
  const piece = "x".repeat(cspReportBytesMax + 1);
  const chunked = `${piece.length.toString(16)}\r\n${piece}\r\n0\r\n\r\n`;
  const socket = await openTls(gateway);
  const head = [
    `POST ${path} HTTP/1.1`,
    `Host: ${hostOf(gateway)}`,
    one,
    "Transfer-Encoding: chunked",
    "",
    "",
  ];
  t.match((await rawTalk(0, head.join("\r\n") + chunked, { socket })).status, 413, "counted, not declared");
  for (const spelling of [
    "/fr/.well-known/csp-report",
    "/.well-known/csp-report/x",
    "/.well-known/CSP-report",
  ]) {
    gateway.demo.forget();
    t.equal((await h1(gateway, `POST ${spelling}`, [one], good)).status, 404, spelling);
    t.equal(gateway.demo.requests.length, 0);
  }
  t.equal((await h1(gateway, `POST ${path}?x=1`, [one], good)).status, 204);
  t.equal((await h1(gateway, `POST ${path}`, [`${one}; charset=utf-8`], good)).status, 204);
  t.same(
    gateway.events.filter(({ type }) => type === "strike" || type === "ban"),
    [],
  );
  t.equal(gateway.running.shared.cspReports.list()[0]?.count, 2);
});

t.test("a flood of reports ends at a limit of its own and costs its sender no other request", async (t) => {
  const gateway = await startTestGateway({ demo: { workers: 4 } });
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const fields = { ":method": "POST", ":path": path, "content-type": "application/csp-report" };
  const statuses: number[] = [];
  for (let i = 0; i < 100; i += 1) {
    const answer = await h2(session, gateway, fields, bodyOf(gateway, `https://flood-${i}.example`));
    statuses.push(answer.status);
    if (answer.status === 429) t.match(answer.headers["retry-after"], /^\d+$/);
  }
  t.ok(statuses.includes(429));
  t.same(
    statuses.slice(0, 61),
    Array.from({ length: 61 }, () => 204),
  );
  t.equal((await h2(session, gateway, { ":method": "GET", ":path": "/web/login" })).status, 200);
  t.same(
    gateway.events.filter(({ type }) => ["strike", "ban", "csp-report"].includes(type)),
    [],
  );
  t.equal(gateway.running.shared.cspReports.list().length, 50);
});

t.test("a banned client's reports are not read, and a closed site takes none", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const body = bodyOf(gateway, "https://cdn.example.net");
  await admin(gateway, "POST /bans?address=127.0.0.1", "X-Odoo-Gateway: bans");
  t.equal((await report(gateway, body)).status, 403);
  await admin(gateway, "DELETE /bans?address=127.0.0.1", "X-Odoo-Gateway: bans");
  await admin(gateway, "POST /maintenance", "X-Odoo-Gateway: maintenance");
  t.equal((await report(gateway, body)).status, 503);
  t.same(gateway.running.shared.cspReports.list(), []);
});

t.test(
  "pages name the address by every name, staging without its password, and CSP_REPORTS turns it off",
  async (t) => {
    const staging = { PRESET: "staging", STAGING_USER: "odoo", STAGING_PASSWORD: "a long password" };
    for (const [env, status, names] of [
      [{}, 204, true],
      [{ PRESET: "strict" }, 204, true],
      [staging, 204, true],
      [{ CSP_REPORTS: "no" }, 404, false],
      [{ PRESET: "strict", CSP_REPORTS: "no" }, 404, false],
      [{ PRESET: "nginx-guide" }, 404, false],
    ] as const) {
      const gateway = await startTestGateway({ env });
      const what = JSON.stringify(env);
      const answer = await report(gateway, bodyOf(gateway, "https://cdn.example.net"));
      t.equal(answer.status, status, what);
      t.same(
        gateway.events.filter(({ type }) => type === "strike"),
        [],
        "a page that was open is no scanner",
      );
      const login = `Authorization: Basic ${Buffer.from("odoo:a long password").toString("base64")}`;
      const page = (await h1(gateway, "GET /web/login", [login])).text;
      t.equal(/report-uri \/\.well-known\/csp-report; ?report-to csp-report/.test(page), names, what);
      t.equal(/\r\nReporting-Endpoints: csp-report="\/\.well-known\/csp-report"\r\n/.test(page), names, what);
      const own = (await h1(gateway, "GET /.env")).text;
      t.notMatch(own, /csp-report/, "a page of ours reports nothing");
      t.match(
        await cli(gateway),
        { code: 0, out: names ? /^directive/ : /^nobody is asked for reports/ },
        what,
      );
      await gateway.close();
    }
  },
);

t.test("odoo-gateway csp lists, and suggests only what two clients reported", async (t) => {
  const gateway = await startTestGateway({
    env: { CSP_SCRIPT_SRC: "https://*.known.example https://old.example" },
  });
  t.teardown(() => gateway.close());
  t.match(await cli(gateway), { code: 0, out: /^nothing was reported since 20/ });
  t.match(await cli(gateway, "suggest"), { code: 0, out: /^# nothing the policy blocks was reported/ });
  const say = (from: string, source: string, directive?: string) =>
    report(gateway, bodyOf(gateway, source, directive), from);
  for (const from of ["127.0.0.1", "127.0.0.2"]) {
    await say(from, "https://cdn.example.net");
    await say(from, "https://a.known.example");
    await say(from, "http://plain.example", "img-src");
    await say(from, "https://plugin.example", "object-src");
    await say(from, "wss://chat.example", "connect-src");
    await say(from, "chrome-extension://abc");
  }
  await say("127.0.0.1", "https://alone.example");
  const shown = await cli(gateway);
  t.equal(shown.code, 0);
  t.match(shown.out, /^directive +source +reports +clients +first +last +page$/m);
  t.match(
    shown.out,
    /^script-src +https:\/\/cdn\.example\.net +2 +2 +20\S+Z +20\S+Z +odoo\.test:\d+\/shop$/m,
  );
  t.match(shown.out, /^script-src +https:\/\/a\.known\.example .*\(allowed by now\)$/m);
  t.match(shown.out, /^2 reports of browser extensions and other noise were ignored$/m);
  const machine: unknown = JSON.parse((await cli(gateway, "list", "--json")).out);
  t.match(machine, { scriptSources: ["https://*.known.example", "https://old.example"], ignored: 2 });
  const { out } = await cli(gateway, "suggest");
  t.match(out, /^# With PRESET=strict this would have been blocked/);
  t.match(out, /forge/);
  t.match(
    out,
    /^CSP_SCRIPT_SRC=https:\/\/\*\.known\.example,https:\/\/old\.example,https:\/\/cdn\.example\.net$/m,
  );
  t.match(
    out,
    /^# {3}img-src http:\/\/plain\.example: 2 reports of 2 clients, first on .*\n# {5}It comes over plain HTTP/m,
  );
  t.match(out, /^# {3}object-src https:\/\/plugin\.example.*\n# {5}object-src is held to the site itself/m);
  t.match(out, /^# {3}connect-src wss:\/\/chat\.example.*\n# {5}Websockets/m);
  t.match(out, /^# left out: 1 that one client alone reported/m);
  t.notMatch(out, /alone\.example|a\.known\.example/);
  t.match((await cli(gateway, "suggest", "--all")).out, /^CSP_SCRIPT_SRC=.*https:\/\/alone\.example/m);
  t.equal((await admin(gateway, "POST /csp/clear")).status, 403, "without our field");
  t.match((await admin(gateway, "DELETE /csp")).text, /^HTTP\/1\.1 405 .*\r\nAllow: GET, HEAD\r\n/s);
  t.match((await admin(gateway, "GET /csp/clear")).text, /\r\nAllow: POST\r\n/);
  t.match(await cli(gateway, "clear"), { code: 0, out: "6 entries forgotten\n" });
  t.match(await cli(gateway, "sugest"), {
    code: 2,
    out: /^there is no "sugest", only list, suggest and clear\n/,
  });
  t.match(await cli(gateway, "clear", "--json"), { code: 2, out: /^--json does not go with "clear"\n/ });
  t.match(await cli(gateway, "list", "x"), { code: 2, out: /^"x" was not expected\n/ });
});

t.test("a reload turns reports off and on, and what was reported stays", async (t) => {
  const options: { env: Record<string, string> } = { env: {} };
  const gateway = await startTestGateway(options);
  t.teardown(() => gateway.close());
  const body = bodyOf(gateway, "https://cdn.example.net");
  for (const [value, status] of [
    ["yes", 204],
    ["no", 404],
    ["yes", 204],
  ] as const) {
    options.env = { CSP_REPORTS: value };
    t.same(await gateway.running.reload(), []);
    t.equal((await report(gateway, body)).status, status, value);
    const page = (await h1(gateway, "GET /web/login")).text;
    t.equal(page.includes("report-uri"), status === 204);
  }
  t.equal(gateway.running.shared.cspReports.list()[0]?.count, 2);
});

t.test("a point of sale over plain HTTP reports there, everybody else is led to https", async (t) => {
  const options: { env: Record<string, string> } = { env: { POS_NETWORKS: "127.0.0.1" } };
  const gateway = await startTestGateway(options);
  t.teardown(() => gateway.close());
  const body = bodyOf(gateway, "https://cdn.example.net");
  t.equal((await h1(gateway, `POST ${path}`, [one], body, { plain: true })).status, 204);
  options.env = {};
  t.same(await gateway.running.reload(), []);
  t.equal((await h1(gateway, `POST ${path}`, [one], body, { plain: true })).status, 308);
});

t.test("in strict the suggestion says that it was blocked", async (t) => {
  const gateway = await startTestGateway({ env: { PRESET: "strict" } });
  t.teardown(() => gateway.close());
  for (const from of ["127.0.0.1", "127.0.0.2"])
    await report(gateway, bodyOf(gateway, "https://cdn.example.net"), from);
  t.match((await cli(gateway, "suggest")).out, /^# Blocked by the policy, as reported by at least 2 clients/);
});
