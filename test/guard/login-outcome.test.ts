import t from "tap";
import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { doorOf } from "../../src/guard/login-door.ts";
import { type AskedCall, readLogin } from "../../src/guard/login-outcome.ts";
import { watchLogin } from "../../src/guard/login-watch.ts";
import { factsFor } from "../support/facts.ts";

const host = "erp.example.com" as HostName;

function factsOf(line: string, authorization = true) {
  const [method = "GET", target = "/"] = line.split(" ");
  const [path = "/", query = ""] = target.split("?");
  const paths = [path as CanonicalPath];
  return { method, paths, host, query, fields: authorization ? ["Authorization", "Bearer x"] : [] };
}

const rpc = (rest: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, ...rest });
const error = (name: string, code: number) =>
  rpc({ error: { code, message: "Odoo Server Error", data: { name, message: "m", debug: "Traceback" } } });
const denied19 = error("odoo.exceptions.AccessDenied", 0);
const denied16 = error("odoo.exceptions.AccessDenied", 200);
const xml = (inner: string) => `<?xml version='1.0'?>\n<methodResponse>\n${inner}\n</methodResponse>\n`;
const value = (inner: string) => xml(`<params>\n<param>\n<value>${inner}</value>\n</param>\n</params>`);
const fault = (code: string) =>
  xml(
    `<fault>\n<value><struct>\n<member>\n<name>faultCode</name>\n<value>${code}</value>\n</member>\n<member>\n<name>faultString</name>\n<value><string>Access Denied</string></value>\n</member>\n</struct></value>\n</fault>`,
  );
const common: AskedCall = { service: "common", method: "authenticate" };
const object: AskedCall = { service: "object", method: "execute_kw" };
const page = (inner: string) =>
  `<!DOCTYPE html><html><body>${"<p>x</p>".repeat(2_000)}${inner}</body></html>`;

type Row = readonly [
  string,
  number,
  readonly string[],
  string,
  "success" | "pending" | "failure" | "unknown",
  (AskedCall | null)?,
];

const rows: readonly Row[] = [
  ["POST /xmlrpc/2/common", 200, [], value("<int>2</int>"), "success"],
  ["POST /xmlrpc/2/common", 200, [], value("<boolean>0</boolean>"), "failure"],
  ["POST /xmlrpc/2/common", 200, [], value("<struct><member><name>a</name></member></struct>"), "unknown"],
  ["POST /xmlrpc/2/common", 200, [], fault("<int>1</int>"), "unknown"],
  ["POST /xmlrpc/2/common", 200, [], fault("<int>3</int>"), "failure"],
  ["PUT /xmlrpc/common", 200, [], value("<boolean>0</boolean>"), "failure"],
  ["POST /english/xmlrpc/common", 200, [], value("<boolean>0</boolean>"), "failure"],
  ["HEAD /xmlrpc/common", 200, [], "", "failure"],
  ["POST /xmlrpc/2/object", 200, [], fault("<int>3</int>"), "failure"],
  ["POST /xmlrpc/object", 200, [], fault("<string>AccessDenied</string>"), "failure"],
  ["POST /xmlrpc/object", 200, [], fault("<string>AccessError</string>"), "unknown"],
  ["POST /xmlrpc/2/object", 200, [], fault("<int>4</int>"), "unknown"],
  ["POST /xmlrpc/2/object", 200, [], value("<array><data>\n</data></array>"), "success"],
  ["POST /xmlrpc/2/object", 200, [], value("<boolean>0</boolean>"), "success"],
  ["POST /xmlrpc/2/object", 200, [], value("<string>&lt;fault&gt; faultCode 3</string>"), "success"],
  ["POST /xmlrpc/2/db", 200, [], fault("<int>3</int>"), "failure"],
  ["POST /xmlrpc/2/db", 200, [], value("<boolean>1</boolean>"), "unknown"],
  ["POST /jsonrpc", 200, [], rpc({ result: 5 }), "success", common],
  ["POST /jsonrpc", 200, [], rpc({ result: false }), "failure", common],
  ["GET /jsonrpc", 200, [], rpc({ result: false }), "failure", common],
  ["HEAD /jsonrpc", 200, [], "", "failure", common],
  ["POST /jsonrpc", 200, [], rpc({ result: {} }), "unknown", { service: "common", method: "version" }],
  ["POST /jsonrpc", 200, [], rpc({ result: false }), "success", object],
  ["POST /jsonrpc", 200, [], rpc({ result: [{ uid: 1 }] }), "success", object],
  ["POST /jsonrpc", 200, [], denied19, "failure", object],
  ["POST /jsonrpc", 200, [], denied16, "failure", null],
  ["POST /jsonrpc", 200, [], error("odoo.exceptions.AccessError", 0), "unknown", object],
  ["POST /jsonrpc", 200, [], rpc({ result: false }), "unknown", null],
  ["POST /jsonrpc", 200, [], `{"id":"${"x".repeat(65_536)}`, "failure", object],
  ["POST /json/2/res.partner/read", 401, [], "{}", "failure"],
  ["GET /json/1/res.partner", 401, [], "<html>", "failure"],
  ["GET /doc-bearer/res.partner.json", 401, [], "<html>", "failure"],
  ["GET /json/1/res.partner", 200, [], "[]", "success"],
  ["POST /json/2/res.users/authenticate", 403, [], "{}", "failure"],
  ["POST /json/2/res.users/authenticate", 200, [], '{"uid": 2}', "success"],
  ["POST /json/2/res.users/x", 403, [], '{"name": "odoo.exceptions.AccessDenied"}', "failure"],
  ["POST /json/2/res.users/x", 403, [], '{"name": "odoo.exceptions.AccessError"}', "unknown"],
  ["POST /json/2/res.users/x", 404, [], "{}", "unknown"],
  ["POST /web/dataset/call_kw/res.users/authenticate", 200, [], denied19, "failure"],
  ["POST /web/dataset/call_kw", 200, [], denied16, "failure"],
  ["POST /web/dataset/call_kw", 200, [], rpc({ result: { uid: 2 } }), "unknown", null],
  [
    "POST /web/dataset/call_kw",
    200,
    [],
    rpc({ result: true }),
    "success",
    { service: null, method: "change_password" },
  ],
  [
    "POST /web/dataset/call_button",
    200,
    [],
    error("odoo.exceptions.UserError", 0),
    "failure",
    { service: null, method: "run_check" },
  ],
  [
    "POST /web/dataset/call_kw",
    200,
    [],
    error("odoo.exceptions.UserError", 0),
    "unknown",
    { service: null, method: "change_password" },
  ],
  ["POST /web/dataset/call_kw", 200, [], error("odoo.exceptions.UserError", 0), "unknown", null],
  ["POST /auth-timeout/session/check-identity", 200, [], denied19, "failure"],
  ["POST /auth-timeout/session/check-identity", 200, [], rpc({ result: null }), "success"],
  [
    "POST /my/security",
    200,
    [],
    page('<input type="password" class="form-control is-invalid" id="current" name="old" required="1"/>'),
    "failure",
  ],
  ["POST /my/security", 200, [], page('<input name="old" class="form-control is-invalid"/>'), "failure"],
  [
    "POST /my/security",
    200,
    [],
    page('<input name="old" class="form-control"/><input class="is-invalid" name="new2"/>'),
    "unknown",
  ],
  [
    "POST /my/security",
    200,
    [],
    page('<div class="alert alert-success">Mot de passe</div><input name="old"/>'),
    "success",
  ],
  ["POST /my/deactivate_account", 200, [], page('<input class="is-invalid" name="password"/>'), "failure"],
  ["POST /my/deactivate_account", 303, ["Location", "/web/login?message=x"], "", "success"],
  ["GET /my/security", 200, [], page('<input name="old" class="is-invalid"/>'), "unknown"],
  ["GET /auth_oauth/signin?state=x", 303, ["Location", "/web/login?oauth_error=3"], "", "failure"],
  // A link with `redirect=/web/login`, and a right password.
  [
    "POST /web/login",
    303,
    ["Location", "/web/login", "Set-Cookie", `session_id=${"a".repeat(84)}`],
    "",
    "unknown",
  ],
  ["POST /web/login", 303, ["Location", "/web/login"], "", "failure"],
  [
    "POST /web/login",
    303,
    ["Location", "/web/login?error=x", "Set-Cookie", `session_id=${"a".repeat(84)}`],
    "",
    "failure",
  ],
  [
    "GET /auth_oauth/signin?state=x",
    303,
    ["Location", "/odoo", "Set-Cookie", `session_id=${"a".repeat(84)}`],
    "",
    "success",
  ],
  ["GET /auth_oauth/signin", 500, [], "", "unknown"],
  ["POST /web/reset_password", 200, [], page('<p class="alert alert-danger">none</p>'), "failure"],
  ["POST /web/reset_password", 200, [], page('<p class="alert alert-success">sent</p>'), "unknown"],
  ["GET /web/reset_password?signup_email=a@b", 200, [], page(""), "failure"],
  ["GET /web/signup?x=1&signup%5Femail=a@b", 200, [], page(""), "failure"],
  ["GET /web/reset_password?signup_email=a@b", 303, ["Location", "/web/login?login=a"], "", "unknown"],
  ["GET /web/reset_password", 200, [], page(""), "unknown"],
  ["POST /web/signup", 303, ["Location", "/my"], "", "unknown"],
  [
    "POST /web/database/backup",
    200,
    ["Content-Type", "text/html; charset=utf-8"],
    page('<div class="alert alert-danger">Database backup error: Access Denied</div>'),
    "failure",
  ],
  ["POST /web/database/backup", 200, ["Content-Type", "application/octet-stream"], "PK", "success"],
  ["POST /web/database/drop", 303, ["Location", "/web/database/manager"], "", "success"],
  [
    "POST /web/database/drop",
    200,
    ["Content-Type", "text/html"],
    page("disabled by the administrator"),
    "unknown",
  ],
  ["POST /web/login/totp", 500, [], "", "failure"],
  ["POST /english/web/login", 200, [], "", "failure"],
  ["POST /a/b/web/login", 200, [], "", "unknown"],
];

t.test("each way to try a password is told from Odoo's answer", (t) => {
  for (const [line, status, fields, body, outcome, call] of rows) {
    const facts = factsOf(line);
    const answer = { status, fields, body: Buffer.from(body) };
    t.equal(
      readLogin(facts, answer, doorOf(facts), call ?? null).outcome,
      outcome,
      `${line} → ${status} ${body.slice(-80)}`,
    );
  }
  t.equal(doorOf(factsOf("GET /json/2/res.partner/read", false)), null, "without a key nothing is tried");
  t.equal(doorOf(factsOf("GET /json/version")), null);
  t.end();
});

t.test("a page of tags that never end is read once", (t) => {
  const facts = factsOf("POST /my/security");
  const outcome = (body: string) =>
    readLogin(facts, { status: 200, fields: [], body: Buffer.from(body) }, doorOf(facts), null).outcome;
  // Each of them took a second.
  const endless = "<input ".repeat(9_300);
  for (let i = 0; i < 300; i += 1) t.equal(outcome(`${i}${endless}`), "unknown");
  t.equal(
    outcome(`<input ${" ".repeat(1_000)} name="old" class="is-invalid"/>`),
    "unknown",
    "too long a tag",
  );
  t.equal(outcome('<inputs name="old" class="is-invalid"/>'), "unknown");
  t.equal(outcome('<input name="old"/><p class="is-invalid"/>'), "unknown");
  t.equal(outcome('<input name="x"/><input name="old" class="is-invalid"/>'), "failure");
  t.end();
});

t.test("the watch keeps no more than its bound, and knows password calls however they are written", (t) => {
  const facts = factsFor({ method: "POST", path: "/web/dataset/call_kw/res.partner/read" });
  const outcome = (body: string, answer: string, whole = true) => {
    const watch = watchLogin(facts, { call: null, memory: Buffer.from(body), whole });
    watch?.head(200, []);
    for (let at = 0; at < answer.length; at += 100) watch?.data(Buffer.from(answer.slice(at, at + 100)));
    return watch?.reading.outcome;
  };
  const wrong = error("odoo.exceptions.UserError", 0);
  const call = (method: string) => `{"params":{"model":"res.users","method":${method},"args":[]}}`;
  t.equal(outcome(call('"run_check"'), wrong), "failure");
  t.equal(outcome(call('"run\\u005fcheck"'), wrong), "failure", "escaped");
  t.equal(
    outcome(call('"read"').replace("[]", '["run_check"]'), wrong),
    "unknown",
    "a word among the values",
  );
  t.equal(
    outcome(call('"run_check"').slice(0, -2), wrong, false),
    "failure",
    "a body that goes on in a file",
  );
  t.equal(outcome(call('"authenticate"'), rpc({ result: { uid: 2 } })), "success");
  t.equal(outcome(call('"read"'), rpc({ result: [] })), "unknown");
  t.equal(outcome(call('"read"'), denied19), "failure", "AccessDenied is always a password");
  t.equal(
    outcome(
      call('"read"'),
      rpc({ id: '"result":1,', error: { data: { name: "odoo.exceptions.AccessDenied" } } }),
    ),
    "failure",
  );
  const watch = watchLogin(facts, null);
  watch?.head(200, []);
  for (let i = 0; i < 100; i += 1) watch?.data(Buffer.alloc(10_000, 0x20));
  t.equal(watch?.beginning.length, 65_536);
  const calm = watchLogin(facts, null);
  calm?.data(Buffer.from(rpc({ result: "x".repeat(9_000) })));
  t.ok((calm?.beginning.length ?? 0) <= 128, "an ordinary answer is known by its first bytes");
  t.end();
});
