import { symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { h1, h2, openHttp2, recordOf } from "../exchange/clients.ts";
import { type FileAnswer, immutable, startFiles } from "../support/files-upstream.ts";
import { makeFilestore, naming } from "../support/filestore.ts";
import { startTestGateway } from "../support/gateway.ts";

const octets = "Content-Type: application/octet-stream";
const store = makeFilestore();
const secret = "the secret of another site";
const outside = join(dirname(store.directory), "outside");
writeFileSync(outside, secret);
let answer: FileAnswer = {};
const odoo = await startFiles(() => answer);
const gateway = await startTestGateway({
  upstream: { webPort: odoo.port, busPort: odoo.port },
  env: { ODOO_FILESTORE: store.directory },
});
t.teardown(async () => {
  await gateway.close();
  await odoo.close();
  store.close();
});
const file = store.put("a file");
let asked = 0;

/** Asks while Odoo answers so; what the client got and the log says. */
async function ask(said: FileAnswer, lines: readonly string[] = []) {
  answer = said;
  asked += 1;
  const path = `/web/content/${asked}`;
  const got = await h1(gateway, `GET ${path}`, lines);
  const { id, failure } = await recordOf(gateway, path);
  const told = gateway.events.find((one) => one.type === "upstream-failed" && one.id === id);
  return { got, failure, detail: told?.type === "upstream-failed" ? told.detail : "" };
}

t.test("a name that leads out of the filestore shows nothing of the disk", async (t) => {
  const digits = "ab".padEnd(40, "0");
  store.put("x", "linked");
  symlinkSync(dirname(store.directory), store.at("up"));
  const [, folder = "", name = ""] = file.split("/");
  symlinkSync(outside, store.at(`prod/${folder}/${folder}${"f".repeat(38)}`));
  for (const where of [
    "/etc/passwd",
    outside,
    "/web/filestore/../outside",
    `/web/filestore/prod/../../outside`,
    `/web/filestore/up/ab/${digits}`,
    `/web/filestore/prod/${folder}/${folder}${"f".repeat(38)}`,
    `/web/filestore/prod/%2e%2e/${name}`,
    `/web/filestore/prod/${folder}/${name}/../../../../outside`,
    store.at(file),
    "file:///etc/passwd",
    "@internal",
  ]) {
    const { got, failure, detail } = await ask({ fields: [octets, `X-Accel-Redirect: ${where}`] });
    t.equal(got.status, 502, where);
    t.match(failure, /answer-malformed|file-unreadable/, where);
    t.not(detail, "", "the operator is told");
    t.notMatch(got.text, /secret|root:|filestore|prod\//i, where);
  }
});

t.test("a NUL or a line smuggled into the name is no field of an answer", async (t) => {
  for (const [what, where] of [
    ["NUL", `/web/filestore/${file}\0.txt`],
    ["NUL in front", `/web/filestore/\0${file}`],
    ["bare CR", `/web/filestore/${file}\rX-Evil: yes`],
    ["another line", `/web/filestore/${file}\r\nX-Accel-Redirect: /etc/passwd`],
    ["another line, the other way round", `/etc/passwd\r\nX-Accel-Redirect: /web/filestore/${file}`],
    ["two files", `/web/filestore/${file}\r\nX-Sendfile: /etc/passwd`],
    ["a list", `/web/filestore/${file}, /web/filestore/${file}`],
    ["folded", `/web/filestore/\r\n ${file}`],
  ] as const) {
    const { got, failure } = await ask({ fields: [octets, `X-Accel-Redirect: ${where}`] });
    t.equal(got.status, 502, what);
    t.equal(failure, "answer-malformed", what);
    t.notMatch(got.text, /a file|X-Evil|passwd/, what);
  }
});

t.test("a client cannot name a file: not with its own fields, nor with its path", async (t) => {
  const fields = [
    `X-Accel-Redirect: /web/filestore/${file}`,
    `X-Sendfile: ${store.at(file)}`,
    `X-Accel-Mapping: /=/web/filestore/`,
    "X-Sendfile-Type: X-Accel-Redirect",
  ];
  const { got } = await ask({ fields: [octets], body: "" }, fields);
  t.equal(got.status, 200);
  t.equal(got.body, "");
  const sent = odoo.seen.at(-1)?.lines.join("\n") ?? "";
  t.notMatch(sent, /x-accel|x-sendfile/i, "Odoo does not even see them");
  answer = { status: "404 NOT FOUND", body: "not here" };
  const direct = await h1(gateway, `GET /web/filestore/${file}`);
  t.equal(direct.status, 404);
  t.notMatch(direct.text, /a file/);
});

t.test("an answer with a body of its own, or an error, is not filled", async (t) => {
  const name = naming(file).fields ?? [];
  const own = await ask({ fields: [octets, ...name], body: "own" });
  t.equal(own.got.body, "own");
  t.notMatch(own.got.text, /filestore/);
  for (const status of ["404 NOT FOUND", "403 FORBIDDEN", "500 INTERNAL SERVER ERROR", "201 CREATED"]) {
    const { got } = await ask({ status, fields: [octets, ...name] });
    t.equal(got.status, Number(status.slice(0, 3)));
    t.notMatch(got.text, /a file|filestore/, status);
  }
  // More behind the empty body than was declared.
  const longer = await ask({ fields: [octets, ...name], body: "more", length: 0 });
  t.equal(longer.got.status, 502);
  t.notMatch(longer.got.text, /more|a file/);
});

t.test("a range that is not Odoo's shows no bytes outside it", async (t) => {
  for (const range of [
    "bytes 0-6/6",
    "bytes 4-3/6",
    "bytes 0-1/7",
    "bytes */6",
    "bytes 0-1/6, bytes 3-4/6",
  ]) {
    const { got } = await ask(naming(file, [octets, `Content-Range: ${range}`], "206 PARTIAL CONTENT"));
    t.equal(got.status, 502, range);
    t.notMatch(got.body, /a file/, range);
  }
});

t.test("a bundle that leads elsewhere is kept for nobody", async (t) => {
  const session = await openHttp2(gateway);
  t.teardown(() => session.destroy());
  const bundle = "/web/assets/0c5bb5f/web.assets_web.min.js";
  const javascript = "Content-Type: application/javascript; charset=utf-8";
  const get = () => h2(session, gateway, { ":method": "GET", ":path": bundle });
  answer = { fields: [javascript, ...immutable, "X-Accel-Redirect: /etc/passwd"] };
  t.equal((await get()).status, 502);
  answer = naming(file, [javascript, ...immutable]);
  const good = await get();
  t.equal(good.status, 200);
  t.equal(good.body.toString(), "a file");
});
