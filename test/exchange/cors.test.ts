import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { h1, recordOf } from "./clients.ts";

const gateway = await startTestGateway({
  env: { LOGIN_BANS: "guide" },
  yaml: `
cors:
  - paths: [/json/2/**, /jsonrpc, /logo.png]
    origins: [https://app.example.net]
  - paths: /web/session/authenticate
    origins: [https://app.odoo.test:8443]
    credentials: true
`,
});

function ask(path: string, origin: string, fields = "Content-Type, authorization", method = "POST") {
  return h1(gateway, `OPTIONS ${path}`, [
    `Origin: ${origin}`,
    `Access-Control-Request-Method: ${method}`,
    `Access-Control-Request-Headers: ${fields}`,
    "Sec-Fetch-Site: cross-site",
  ]);
}

const allowedOrigin = "access-control-allow-origin";

t.test("a listed site's page hears that it may call, and Odoo hears nothing of the question", async (t) => {
  gateway.demo.forget();
  const answer = await ask("/json/2/res.partner/read?n=1", "https://app.example.net");
  t.equal(answer.status, 204);
  t.same(valuesOf(answer, allowedOrigin), ["https://app.example.net"]);
  t.same(valuesOf(answer, "access-control-allow-methods"), ["POST"]);
  t.same(valuesOf(answer, "access-control-allow-headers"), ["Content-Type, authorization"]);
  t.same(valuesOf(answer, "access-control-allow-credentials"), []);
  t.same(valuesOf(answer, "vary"), ["Origin"]);
  t.equal(gateway.demo.requests.length, 0);
  const record = await recordOf(gateway, "/json/2/res.partner/read?n=1");
  t.match(record, { rule: "cors-preflight", verdict: "answer", status: 204 });
});

t.test("no other site, no other path and no other spelling of it", async (t) => {
  for (const origin of [
    "https://evil.example",
    "null",
    "http://app.example.net",
    "https://app.example.net.evil",
  ]) {
    const answer = await ask("/jsonrpc", origin);
    t.equal(answer.status, 403, origin);
    t.same(valuesOf(answer, allowedOrigin), []);
  }
  for (const path of ["/web/dataset/call_kw", "/fr/jsonrpc", "/json/1/res.partner"])
    t.same(valuesOf(await ask(path, "https://app.example.net"), allowedOrigin), [], path);
  t.equal((await ask("/web/session/authenticate", "https://app.example.net")).status, 403);
  const odd = await ask("/jsonrpc", "https://app.example.net", "a b, c:d", "TRACE");
  t.same(valuesOf(odd, "access-control-allow-methods"), [], "TRACE gets nowhere");
  t.same(valuesOf(odd, "access-control-allow-headers"), []);
});

t.test("answers name the one site that asked, with its session only where that is said", async (t) => {
  const login = '{"params":{"db":"prod","login":"admin","password":"admin"}}';
  const json = ["Content-Type: application/json"];
  const path = "POST /web/session/authenticate";
  const good = await h1(gateway, path, [...json, "Origin: https://app.odoo.test:8443"], login);
  t.same(valuesOf(good, allowedOrigin), ["https://app.odoo.test:8443"]);
  t.same(valuesOf(good, "access-control-allow-credentials"), ["true"]);
  const bad = await h1(gateway, path, [...json, "Origin: https://evil.example"], login);
  t.same(valuesOf(bad, allowedOrigin), []);
  t.same(valuesOf(bad, "vary"), ["Origin"], "no cache gives it to the other");
});

t.test("Odoo's own * is taken out where the list speaks, and stays elsewhere", async (t) => {
  const logo = (path: string, origin: string) => h1(gateway, `GET ${path}`, [`Origin: ${origin}`]);
  t.same(valuesOf(await logo("/logo.png", "https://evil.example"), allowedOrigin), []);
  t.same(valuesOf(await logo("/logo.png", "https://app.example.net"), allowedOrigin), [
    "https://app.example.net",
  ]);
  t.same(valuesOf(await logo("/logo", "https://evil.example"), allowedOrigin), ["*"]);
});

t.test("a page can read why it is refused", async (t) => {
  const guess = '{"params":{"service":"common","method":"login","args":["prod","admin","wrong"]}}';
  const lines = ["Content-Type: application/json", "Origin: https://app.example.net"];
  let answer = await h1(gateway, "POST /jsonrpc", lines, guess);
  for (let i = 0; i < 5; i += 1) answer = await h1(gateway, "POST /jsonrpc", lines, guess);
  t.equal(answer.status, 403, "banned");
  t.same(valuesOf(answer, allowedOrigin), ["https://app.example.net"]);
});

t.teardown(() => gateway.close());
