import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { h1, h2, openHttp2, recordOf } from "./clients.ts";

const database = '{"jsonrpc":"2.0","id":7,"params":{"service":"db","method":"list","args":[]}}';
const version = '{"jsonrpc":"2.0","id":7,"params":{"service":"common","method":"version","args":[]}}';
const json = "Content-Type: application/json";

function reached(gateway: TestGateway): number {
  return gateway.demo.requests.filter((request) => request.path.includes("rpc")).length;
}

t.test("strangers cannot ask the db service through /jsonrpc, however they write the request", async (t) => {
  // Trusted networks are not limited, and no administrators for that.
  const gateway = await startTestGateway({ env: { TRUSTED_NETWORKS: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const starts = [
    "POST /jsonrpc",
    "GET /jsonrpc",
    "PUT /jsonrpc",
    "POST /jsonrpc/",
    "POST //jsonrpc",
    "POST /fr/jsonrpc",
    "POST /%6asonrpc",
    "POST /english/jsonrpc?x=1",
    "DELETE /jsonrpc",
  ];
  for (const start of starts) {
    for (const type of [
      json,
      "Content-Type: text/plain",
      "Content-Type: application/json-rpc; charset=latin1",
    ]) {
      const answer = await h1(gateway, start, [type], database);
      if (start === "POST //jsonrpc") t.ok(answer.status === 404 || answer.status === 400, start);
      else t.equal(answer.status, 404, `${start} ${type}`);
    }
  }
  const session = await openHttp2(gateway);
  const fields = { ":method": "POST", ":path": "/jsonrpc", "content-type": "application/json" };
  const second = await h2(session, gateway, fields, database);
  session.close();
  t.equal(second.status, 404);
  const shape: { error: { data: { name: string } } } = JSON.parse(second.body.toString());
  t.equal(shape.error.data.name, "odoo.exceptions.UserError", "an error JSON-RPC clients understand");
  const large = `{"params":{"args":["${"x".repeat(300_000)}"],"service":"db","method":"list"}}`;
  t.equal((await h1(gateway, "POST /jsonrpc", [json], large)).status, 404, "behind 300 kB of arguments");
  t.equal(reached(gateway), 0, "Odoo was not asked once");
  const record = gateway.records().find((one) => one.status === 404);
  t.match(record, { rule: "rpc-database-service", verdict: "deny", upstreamMs: null });
});

t.test("other calls pass unchanged; ambiguous ones get 400 before Odoo", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const answer = await h1(gateway, "POST /jsonrpc", [json], version);
  t.equal(answer.status, 200);
  t.match(answer.body, /server_version/);
  const large = `{"params":{"args":["${"x".repeat(300_000)}"],"service":"common","method":"version"}}`;
  t.match((await h1(gateway, "POST /jsonrpc", [json], large)).body, /server_version/, "from the spool file");
  t.equal((await h1(gateway, "POST /jsonrpc", [json])).status, 400, "no body: Odoo's own 400");
  gateway.demo.forget();
  for (const [body, code] of [
    ['{"params":{"service":"common","service":"db","method":"list"}}', "rpc-name-repeated"],
    ['{"params":[["service","db"],["method","list"],["args",[]]]}', "rpc-no-call"],
    ["[{}]", "rpc-no-call"],
    ["service=db", "rpc-malformed"],
  ] as const) {
    const refused = await h1(gateway, "POST /jsonrpc", [json], body);
    t.equal(refused.status, 400);
    t.match(valuesOf(refused, "content-type")[0], /^application\/json/);
    t.ok(
      gateway.events.some((event) => event.type === "refused" && event.code === code),
      code,
    );
  }
  t.equal(reached(gateway), 0);
});

t.test("administrators' networks may ask; 403 is said openly where the operator wants it", async (t) => {
  const admin = await startTestGateway({ env: { ADMIN_NETWORKS: "127.0.0.1" } });
  t.teardown(() => admin.close());
  t.match((await h1(admin, "POST /jsonrpc", [json], database)).body, /\["prod"\]/);
  const open = await startTestGateway({ env: { DATABASE_MANAGER: "403" } });
  t.teardown(() => open.close());
  t.equal((await h1(open, "POST /jsonrpc", [json], database)).status, 403);
});

const version2 = (encoding: string, text: string) =>
  `<?xml version="1.0" encoding="${encoding}"?><methodCall><methodName>version</methodName><params><param><value>${text}</value></param></params></methodCall>`;

t.test(
  "a document type, or another encoding than UTF-8, is refused with an XML-RPC fault, and never reaches Odoo",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const body =
      '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><methodCall><methodName>version</methodName></methodCall>';
    const answer = await h1(gateway, "POST /xmlrpc/2/common", ["Content-Type: text/xml"], body);
    t.equal(answer.status, 200, "the status libraries look for a fault in");
    t.match(valuesOf(answer, "content-type")[0], /^text\/xml/);
    t.match(answer.body, /<fault><value><struct><member><name>faultCode<\/name><value><int>1<\/int>/);
    t.match(answer.body, /document type/);
    t.match(gateway.records()[0], { rule: "xml-doctype", verdict: "refuse", status: 200 });
    for (const [other, type, rule] of [
      [Buffer.from(version2("UTF-8", "caf\xe9"), "latin1"), "text/xml", "xml-encoding"],
      [Buffer.from(version2("ISO-8859-1", "x")), "text/xml", "xml-encoding"],
      [Buffer.from(version2("utf-8", "x")), "text/xml; charset=iso-8859-1", "xml-encoding"],
      [Buffer.from(`\ufeff${version2("utf-16", "x")}`, "utf16le"), "text/xml", "xml-encoding"],
      [Buffer.from(version2("UTF-8", `${"x".repeat(200_000)}\xff`), "latin1"), "text/xml", "xml-encoding"],
    ] as const) {
      const refused = await h1(
        gateway,
        "POST /xmlrpc/2/common",
        [`Content-Type: ${type}`],
        other.toString("latin1"),
      );
      t.equal(refused.status, 200);
      t.match(refused.body, /<fault>.*UTF-8/);
      t.equal(gateway.records().at(-1)?.rule, rule);
    }
    t.equal(reached(gateway), 0);
    const good = Buffer.from(version2("UTF-8", `caf\u00e9${"x".repeat(200_000)}`));
    t.match(
      (await h1(gateway, "POST /xmlrpc/2/common", ["Content-Type: text/xml"], good.toString("latin1"))).body,
      /server_version/,
    );
  },
);

t.test("strict: strangers get errors without tracebacks, people and listed networks as before", async (t) => {
  const broken = '{"jsonrpc":"2.0","id":7,"params":{"service":"object","method":"nothing","args":[]}}';
  const brokenXml = '<?xml version="1.0"?><methodCall><methodName>nothing</methodName><params/></methodCall>';
  const env = { TRUSTED_PROXIES: "127.0.0.1", API_NETWORKS: "192.0.2.0/24" };
  const wrong = JSON.stringify({ id: 5, params: { db: "prod", login: "admin", password: "x" } });
  const ask = async (gateway: TestGateway, from: string) => {
    const line = `X-Forwarded-For: ${from}`;
    return [
      await h1(gateway, "POST /web/session/authenticate", [json, line], wrong),
      await h1(gateway, "POST /jsonrpc", [json, line], broken),
      await h1(gateway, "POST /xmlrpc/2/object", ["Content-Type: text/xml", line], brokenXml),
    ];
  };
  const strict = await startTestGateway({ env: { ...env, PRESET: "strict" } });
  t.teardown(() => strict.close());
  const [stranger] = await ask(strict, "203.0.113.5");
  t.equal(stranger?.status, 200);
  const record = await recordOf(strict, "/web/session/authenticate");
  t.equal(record.bytesOut, Buffer.byteLength(stranger?.body ?? "", "latin1"), "bytes are counted once");
  t.same(JSON.parse(stranger?.body ?? ""), {
    jsonrpc: "2.0",
    id: 5,
    error: {
      code: 0,
      message: "Odoo Server Error",
      data: {
        name: "odoo.exceptions.AccessDenied",
        message: "Access Denied",
        arguments: ["Access Denied"],
        context: {},
        debug: "",
      },
    },
  });
  for (const answer of await ask(strict, "192.0.2.5")) t.match(answer.body, /Traceback/);
  const everybody = await startTestGateway({ env: { PRESET: "strict", API_NETWORKS: "any" } });
  t.teardown(() => everybody.close());
  for (const answer of await ask(everybody, "203.0.113.5")) {
    t.equal(answer.status, 200);
    t.notMatch(answer.body, /Traceback|opt\/odoo/);
  }
  const standard = await startTestGateway({ env });
  t.teardown(() => standard.close());
  t.match((await ask(standard, "192.0.2.5"))[1]?.body, /Traceback/);
});
