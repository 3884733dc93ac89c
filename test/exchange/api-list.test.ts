import { spawn } from "node:child_process";
import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { h1 } from "./clients.ts";

const json = "Content-Type: application/json";
const text = "Content-Type: text/xml";
const value = (one: string | number) =>
  `<param><value>${typeof one === "number" ? `<int>${one}</int>` : `<string>${one}</string>`}</value></param>`;
const xml = (method: string, ...params: (string | number)[]) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.map(value).join("")}</params></methodCall>`;
const rpc = (service: string, method: string, ...args: unknown[]) =>
  JSON.stringify({ jsonrpc: "2.0", id: 1, params: { service, method, args } });
const from = (address: string) => `X-Forwarded-For: ${address}`;

const yaml = `
trusted_proxies: 127.0.0.1
api:
  - networks: [192.0.2.0/24]
    services: [common, object, json-2]
    models: [sale.*, res.partner]
    methods: [read, search*]
  - networks: [198.51.100.7]
    hosts: [odoo.test]
    rate: 6/min
  - networks: [198.51.100.0/24]
    services: [json-2]
`;

function reached(gateway: TestGateway): number {
  return gateway.demo.requests.filter((request) => /rpc|json\/2/.test(request.path)).length;
}

const object = (model: string, method: string) => xml("execute_kw", "prod", 2, "admin", model, method);
const objectJson = (model: string, method: string) =>
  rpc("object", "execute_kw", "prod", 2, "admin", model, method, []);
const bearer = "Authorization: Bearer demo-api-key-demo";

t.test("each network calls what its entry names, over every door and in every spelling", async (t) => {
  const gateway = await startTestGateway({ yaml });
  t.teardown(() => gateway.close());
  const partner = [from("192.0.2.9")];
  const rows: readonly (readonly [
    start: string,
    lines: readonly string[],
    body: string,
    rule: string | null,
  ])[] = [
    ["POST /xmlrpc/2/common", [text], xml("version"), null],
    ["POST /xmlrpc/2/object", [text], object("res.partner", "read"), null],
    ["POST /xmlrpc/object", [text], object("sale.order.line", "search_read"), null],
    ["POST /fr/xmlrpc/2/object", [text], object("res.users", "read"), "api-model"],
    ["POST /xmlrpc/2/object/", [text], object("res.partner", "unlink"), "api-method"],
    [
      "PUT /xmlrpc/2/object",
      [text],
      xml("execute", "prod", 2, "admin", "res.partner", "write"),
      "api-method",
    ],
    ["POST /xmlrpc/2/object", [text], object("sale", "read"), "api-model"],
    ["POST /xmlrpc/2/report", [text], xml("render", "prod"), "api-service"],
    ["POST /xmlrpc/2/object", [text], object("res.partner", "re<!-- -->ad"), "rpc-unreadable"],
    ["POST /jsonrpc", [json], objectJson("res.partner", "search"), null],
    ["GET /jsonrpc", [json], objectJson("res.users", "search"), "api-model"],
    ["POST /jsonrpc", [json], objectJson("res.partner", "unlink"), "api-method"],
    ["POST /jsonrpc", [json], rpc("report", "x"), "api-service"],
    [
      "POST /jsonrpc",
      [json],
      rpc("object", "execute_kw", "prod", 2, "admin", ["res.partner"], "read"),
      "api-model",
    ],
    ["POST /json/2/res.partner/read", [json, bearer], "{}", null],
    ["POST /json/2/res.users/read", [json, bearer], "{}", "api-model"],
    ["POST /json/2/res.partner/unlink", [json, bearer], "{}", "api-method"],
    ["POST /english/json/2/res.partner/unlink", [json, bearer], "{}", "api-method"],
    ["GET /json/1/res.partner", [bearer], "", "api-service"],
    ["GET /doc-bearer/index.json", [bearer], "", "api-service"],
  ];
  for (const [start, lines, body, rule] of rows) {
    gateway.demo.forget();
    const answer = await h1(gateway, start, [...lines, ...partner], body);
    const record = gateway.records().at(-1);
    if (rule === null) {
      t.equal(answer.status, 200, `${start} ${answer.body}`);
      t.notMatch(answer.body, /fault|"error"/);
      t.equal(reached(gateway), 1);
    } else {
      t.equal(record?.rule, rule, `${start} ${body.slice(-90)}`);
      t.equal(answer.status, rule === "rpc-unreadable" ? 200 : 403);
      if (start.includes("xmlrpc")) t.match(answer.body, /<fault>.*may not call|<fault>.*one reading/);
      t.equal(reached(gateway), 0, "Odoo was not asked");
    }
  }
  for (const [start, lines, body] of rows) {
    const stranger = await h1(gateway, start, [...lines, from("203.0.113.1")], body);
    t.equal(stranger.status, 403, `${start}: in no entry`);
    t.equal(gateway.records().at(-1)?.rule, "rpc-denied");
  }
  t.equal((await h1(gateway, "GET /web/login", [from("203.0.113.1")])).status, 200, "people are not meant");
});

t.test("the first entry that names the network decides, with its rate for each address", async (t) => {
  const gateway = await startTestGateway({ yaml });
  t.teardown(() => gateway.close());
  const call = (address: string) =>
    h1(gateway, "POST /xmlrpc/2/common", [text, from(address)], xml("version"));
  const statuses: number[] = [];
  for (let i = 0; i < 8; i += 1) statuses.push((await call("198.51.100.7")).status);
  t.same(statuses, [200, 200, 200, 200, 200, 200, 429, 429]);
  t.equal(gateway.records().at(-1)?.limit, "api-2");
  t.equal((await call("198.51.100.8")).status, 403, "the third entry: JSON-2 alone");
  t.equal(gateway.records().at(-1)?.rule, "api-service");
});

t.test("a host that an entry does not name is refused; strict lets the entries in", async (t) => {
  const gateway = await startTestGateway({
    yaml: "api:\n  - { networks: [any], hosts: [other.test] }\n",
    env: { DOMAIN: "odoo.test,other.test", PRESET: "strict" },
  });
  t.teardown(() => gateway.close());
  const refused = await h1(gateway, "POST /xmlrpc/2/common", [text], xml("version"));
  t.equal(refused.status, 403);
  t.equal(gateway.records().at(-1)?.rule, "api-network");
  const good = await h1(gateway, "POST /xmlrpc/2/common", [text], xml("version"), {
    host: `other.test:${gateway.httpsPort}`,
  });
  t.match(good.body, /server_version/);
});

/** What Python prints when it runs this against the gateway. */
function python(gateway: TestGateway, script: string): Promise<{ status: number | null; out: string }> {
  const head = `import ssl,xmlrpc.client as x\nc=ssl.create_default_context(cafile=${JSON.stringify(gateway.caFile)})\nc.check_hostname=False\ndef proxy(path): return x.ServerProxy("https://127.0.0.1:${gateway.httpsPort}"+path,context=c)\n`;
  const child = spawn("python3", ["-c", head + script]);
  let out = "";
  child.stdout.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    out += chunk.toString();
  });
  return new Promise((resolve) => {
    child.on("error", () => resolve({ status: null, out }));
    child.on("close", (status) => resolve({ status, out }));
  });
}

t.test("Python's xmlrpc.client: calls pass, and a refused document is a fault with its reason", async (t) => {
  const gateway = await startTestGateway({ env: { DOMAIN: "odoo.test,127.0.0.1", DATABASE: "prod" } });
  t.teardown(() => gateway.close());
  const probe = await python(gateway, "");
  if (probe.status === null) {
    t.comment("python3 is not installed: not checked");
    return;
  }
  const calls = await python(
    gateway,
    `common=proxy("/xmlrpc/2/common")
print(common.version()["server_serie"], common.authenticate("prod","admin","admin",{}))
print(proxy("/xmlrpc/2/object").execute_kw("prod",2,"admin","res.partner","search",[[["name","=","caf\\u00e9"]]],{"limit":5}))
try: common.authenticate("other","admin","admin",{})
except x.ProtocolError as e: print(e.errcode)
`,
  );
  t.equal(calls.out, "19.0 2\n[1, 2, 3]\n403\n");
  const refused = await python(
    gateway,
    `p=proxy("/xmlrpc/2/common")
t=p("transport")
body=b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><methodCall><methodName>version</methodName></methodCall>'
try: t.request("127.0.0.1:${gateway.httpsPort}","/xmlrpc/2/common",body)
except x.Fault as f: print(f.faultCode, f.faultString)
`,
  );
  t.match(refused.out, /^1 The XML body declares a document type/);
});
