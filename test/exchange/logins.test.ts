import t from "tap";
import type { OdooVersion } from "../../src/demo/context.ts";
import { type Demo, startDemo } from "../../src/demo/start.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawRequest, rawTalk, sessionPair } from "../support/upstream-raw.ts";
import { h1, until } from "./clients.ts";

type Outcome = "success" | "pending" | "failure" | null;

interface Row {
  readonly start: string;
  readonly lines?: readonly string[];
  readonly body?: string;
  readonly outcome: Outcome;
  readonly since?: OdooVersion;
}

const json = ["Content-Type: application/json"];
const text = ["Content-Type: text/xml"];
const form = ["Content-Type: application/x-www-form-urlencoded"];
const rpc = (params: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, params });
const member = (value: string | number) =>
  `<param><value>${typeof value === "number" ? `<int>${value}</int>` : `<string>${value}</string>`}</value></param>`;
const xml = (method: string, ...params: (string | number)[]) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.map(member).join("")}</params></methodCall>`;
const service = (name: string, method: string, ...args: (string | number)[]) =>
  rpc({ service: name, method, args });

function rowsFor(): Row[] {
  const rows: Row[] = [];
  for (const prefix of ["", "/fr"]) {
    for (const [password, outcome] of [
      ["admin", "success"],
      ["guess", "failure"],
    ] as const) {
      const authenticate = `${prefix}/web/session/authenticate`;
      rows.push(
        {
          start: `POST ${authenticate}`,
          lines: json,
          body: rpc({ db: "prod", login: "admin", password }),
          outcome,
        },
        {
          start: `PUT ${authenticate}`,
          lines: json,
          body: rpc({ db: "prod", login: "admin", password }),
          outcome,
        },
        {
          start: `POST ${prefix}/base_import_module/login_upload`,
          lines: form,
          body: `login=admin&password=${password}`,
          outcome,
        },
        { start: `POST ${prefix}/base_import_module/login_upload?login=admin&password=${password}`, outcome },
        {
          start: `POST ${prefix}/jsonrpc`,
          lines: json,
          body: service("common", "login", "prod", "admin", password),
          outcome,
        },
        {
          start: `GET ${prefix}/jsonrpc`,
          lines: json,
          body: service("common", "authenticate", "prod", "admin", password),
          outcome,
        },
        {
          start: `POST ${prefix}/jsonrpc`,
          lines: json,
          body: service("object", "execute_kw", "prod", 2, password, "res.partner", "search"),
          outcome,
        },
      );
      for (const version of ["", "/2"]) {
        rows.push(
          {
            start: `POST ${prefix}/xmlrpc${version}/common`,
            lines: text,
            body: xml("login", "prod", "admin", password),
            outcome,
          },
          {
            start: `PUT ${prefix}/xmlrpc${version}/common`,
            lines: text,
            body: xml("authenticate", "prod", "admin", password),
            outcome,
          },
          {
            start: `POST ${prefix}/xmlrpc${version}/object`,
            lines: text,
            body: xml("execute", "prod", 2, password, "res.partner", "search"),
            outcome,
          },
        );
      }
    }
  }
  rows.push(
    {
      start: "POST /web/session/authenticate",
      lines: json,
      body: rpc({ db: "prod", login: "carol", password: "carol" }),
      outcome: "pending",
    },
    { start: "POST /xmlrpc/2/common", lines: text, body: xml("version"), outcome: null },
    { start: "POST /xmlrpc/2/common", lines: text, body: xml("nothing"), outcome: null },
    { start: "POST /jsonrpc", lines: json, body: service("common", "version"), outcome: null },
    { start: "POST /jsonrpc", lines: json, body: service("object", "nothing"), outcome: null },
    {
      start: "POST /json/2/res.partner/read",
      lines: ["Authorization: Bearer wrong"],
      outcome: "failure",
      since: 19,
    },
    {
      start: "POST /json/2/res.partner/read",
      lines: ["Authorization: Bearer demo-api-key-demo"],
      outcome: "success",
      since: 19,
    },
    { start: "POST /json/2/res.partner/read", outcome: null, since: 19 },
    {
      start: "GET /json/1/res.partner",
      lines: ["Authorization: Bearer wrong"],
      outcome: "failure",
      since: 18,
    },
    {
      start: "GET /json/1/res.partner",
      lines: ["Authorization: Bearer demo-api-key-demo"],
      outcome: "success",
      since: 18,
    },
    {
      start: "GET /doc-bearer/index.json",
      lines: ["Authorization: Bearer wrong"],
      outcome: "failure",
      since: 19,
    },
    {
      start: "POST /json/2/res.users/authenticate",
      lines: [...json, "Authorization: Bearer demo-api-key-demo"],
      body: '{"credential": {"login": "admin", "password": "guess"}}',
      outcome: "failure",
      since: 19,
    },
    {
      start: "POST /json/2/res.users/authenticate",
      lines: [...json, "Authorization: Bearer demo-api-key-demo"],
      body: '{"credential": {"login": "admin", "password": "admin"}}',
      outcome: "success",
      since: 19,
    },
    { start: "GET /web/reset_password?signup_email=nobody", outcome: "failure" },
    { start: "GET /web/reset_password?signup_email=admin", outcome: null },
    { start: "GET /auth_oauth/signin?state=1", outcome: "failure" },
    { start: "GET /auth_oauth/signin", outcome: null },
    { start: "POST /auth/passkey/start-auth", lines: json, body: rpc({}), outcome: null },
    // Other methods try no password (odoo-wire b), in whatever way the log-in is written.
    { start: "PUT /web/login", lines: form, body: "login=admin&password=guess", outcome: null },
    { start: "GET /web/login?login=admin&password=guess", outcome: null },
    { start: "GET /web/login", outcome: null },
    { start: "GET /", outcome: null },
  );
  return rows;
}

/** Sends and answers the outcomes seen by the time the exchange is recorded. */
async function outcomeOf(gateway: TestGateway, start: string, lines: readonly string[], body: string) {
  const before = gateway.events.length;
  const answer = await h1(gateway, start, lines, body);
  await until(() => gateway.events.slice(before).some((event) => event.type === "access"));
  const seen = gateway.events
    .slice(before)
    .flatMap((event) => (event.type === "login" ? [event.outcome] : []));
  return { answer, seen };
}

async function post(
  gateway: TestGateway,
  path: string,
  cookie: string,
  page: string,
  fields: Record<string, string>,
) {
  const token = /name="csrf_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
  const body = new URLSearchParams({ csrf_token: token, ...fields }).toString();
  return outcomeOf(gateway, `POST ${path}`, [...form, `Cookie: ${cookie}`], body);
}

for (const version of [16, 17, 18, 19] as const) {
  for (const port of [8069, 8072] as const) {
    t.test(`the gateway knows how each attempt ended: Odoo ${version}, port ${port}`, async (t) => {
      const demo: Demo = await startDemo({ version, workers: 4 });
      t.teardown(() => demo.close());
      const webPort = port === 8069 ? demo.webPort : demo.busPort;
      const gateway = await startTestGateway({
        upstream: { webPort, busPort: demo.busPort },
        env: { TRUSTED_NETWORKS: "127.0.0.1" },
      });
      t.teardown(() => gateway.close());
      // Pages only come from 8069: on 8072 they fail with 500, and a failed log-in with them (odoo-wire d).
      const pageOf = (start: string, ...lines: string[]) =>
        rawTalk(demo.webPort, rawRequest(start, [...lines, "Connection: close"]));
      for (const { start, lines, body, outcome, since } of rowsFor()) {
        if (version < (since ?? 16) || (port === 8072 && start.includes("signup_email"))) continue;
        const { seen } = await outcomeOf(gateway, start, lines ?? [], body ?? "");
        t.same(seen, outcome === null ? [] : [outcome], `${start} ${body?.slice(-60) ?? ""}`);
      }
      const page = await pageOf("GET /fr/web/login");
      const cookie = sessionPair(page);
      const wrong = await post(gateway, "/web/login", cookie, page.body, {
        login: "admin",
        password: "guess",
      });
      t.same(wrong.seen, ["failure"]);
      const passkey = await post(gateway, "/web/login", cookie, page.body, {
        type: "webauthn",
        webauthn_response: "{}",
      });
      t.same(passkey.seen, ["failure"], "an unknown passkey");
      const half = await post(gateway, "/fr/web/login", cookie, page.body, {
        login: "carol",
        password: "carol",
      });
      t.same(half.seen, ["pending"], `second factor: ${half.answer.status}`);
      const open = sessionPair(half.answer);
      const ask = await pageOf("GET /web/login/totp", `Cookie: ${open}`);
      const code = await post(gateway, "/web/login/totp", open, ask.body, { totp_token: "000000" });
      t.same(code.seen, ["failure"], "a wrong code");
      const good = await post(gateway, "/web/login/totp", open, ask.body, { totp_token: "123456" });
      t.same(good.seen, ["success"], "the right code");
      const fresh = await pageOf("GET /web/login");
      const stale = await post(gateway, "/web/login", sessionPair(fresh), "", {
        login: "admin",
        password: "admin",
      });
      // On 8072 that page is a 500 as well: what cannot be told from a guess counts as one.
      t.same(stale.seen, port === 8072 ? ["failure"] : [], "without the token nothing is tried");
      const done = await post(gateway, "/web/login", sessionPair(fresh), fresh.body, {
        login: "admin",
        password: "admin",
      });
      t.same(done.seen, ["success"]);
      const session = sessionPair(done.answer);
      const other = async (password: string) => {
        const args = [[], { login: "demo", password, type: "password" }, {}];
        const body = rpc({ model: "res.users", method: "authenticate", args, kwargs: {} });
        return outcomeOf(
          gateway,
          "POST /web/dataset/call_kw/res.users/authenticate",
          [...json, `Cookie: ${session}`],
          body,
        );
      };
      const pages = await pageOf("GET /my/security", `Cookie: ${session}`);
      for (const [path, fields, field] of [
        ["/my/security", { op: "password", new1: "n", new2: "n" }, "old"],
        ["/my/deactivate_account", { validation: "admin" }, "password"],
      ] as const) {
        const wrongOne = await post(gateway, path, session, pages.body, { ...fields, [field]: "guess" });
        t.same(wrongOne.seen, port === 8072 ? [] : ["failure"], path);
        const rightOne = await post(gateway, path, session, pages.body, { ...fields, [field]: "admin" });
        t.same(rightOne.seen, port === 8072 && path === "/my/security" ? [] : ["success"], path);
      }
      const own = async (model: string, method: string, args: unknown[], kwargs: object) =>
        outcomeOf(
          gateway,
          `POST /web/dataset/call_kw/${model}/${method}`,
          [...json, `Cookie: ${session}`],
          rpc({ model, method, args, kwargs }),
        );
      for (const [password, outcome] of [
        ["guess", "failure"],
        ["admin", "success"],
      ] as const) {
        const changed = await own("res.users", "change_password", [password, "n"], {});
        t.same(changed.seen, [outcome], "change_password");
        const checked = await own("res.users.identitycheck", "run_check", [[1]], { context: { password } });
        t.same(checked.seen, [outcome], "run_check");
      }
      t.same((await own("res.partner", "read", [[1]], {})).seen, [], "no password in it");
      const asked = await pageOf("GET /web/reset_password");
      for (const [path, login, outcome] of [
        ["/web/reset_password", "nobody", ["failure"]],
        ["/web/reset_password", "admin", []],
        ["/web/signup", "admin", ["failure"]],
        // A new account is no proof of anything: it gives no point back.
        ["/web/signup", "fresh@example.com", []],
      ] as const) {
        const { seen } = await post(gateway, path, sessionPair(asked), asked.body, { login });
        if (port === 8069) t.same(seen, outcome, `${path} ${login}`);
      }
      if (version === 19) {
        t.same((await other("guess")).seen, ["failure"], "a logged-in user guesses another's password");
        t.same((await other("demo")).seen, ["success"]);
      }
    });
  }
}

t.test("the master password: tried by administrators' networks only, and known by its outcome", async (t) => {
  const right = "master-of-the-stand-in";
  const demo = await startDemo({ listDb: true, masterPassword: right });
  t.teardown(() => demo.close());
  const gateway = await startTestGateway({
    upstream: { webPort: demo.webPort, busPort: demo.busPort },
    env: { ADMIN_NETWORKS: "127.0.0.1", LOGIN_BANS: "off" },
  });
  t.teardown(() => gateway.close());

  for (const [name, password, outcome] of [
    ["drop", "guess", "failure"],
    ["backup", "guess", "failure"],
    ["change_password", "guess", "failure"],
    ["backup", right, "success"],
    ["create", right, "success"],
  ] as const) {
    const { seen } = await outcomeOf(
      gateway,
      `POST /web/database/${name}`,
      form,
      `master_pwd=${password}&name=x`,
    );
    t.same(seen, [outcome], `${name} ${password}`);
  }
  const { seen } = await outcomeOf(gateway, "POST /xmlrpc/db", text, xml("list_countries", "guess"));
  t.same(seen, ["failure"], "the oracle of the db service");
  const envelope = service("db", "list_countries", "guess");
  t.same((await outcomeOf(gateway, "POST /jsonrpc", json, envelope)).seen, ["failure"], "and over JSON-RPC");
  t.same((await outcomeOf(gateway, "POST /fr/jsonrpc", json, service("db", "drop", "guess", "prod"))).seen, [
    "failure",
  ]);
});

/** Each way Odoo reads a log-in (odoo-wire b, second half): it is known as a failure, or it does not get to Odoo. */
const keptApart = { ADMIN_NETWORKS: "10.0.0.0/8", ADMIN_ACCOUNTS: "Admin, uid:2" };

t.test("administrators' accounts are for their networks only, at every door", async (t) => {
  const gateway = await startTestGateway({ env: { ...keptApart, TRUSTED_PROXIES: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const from = (address: string) => `X-Forwarded-For: ${address}`;
  const login = (name: string) => rpc({ db: "prod", login: name, password: name });
  for (const [start, lines, body] of [
    ["POST /web/session/authenticate", json, login("admin")],
    ["POST /fr/web/session/authenticate", json, login("ADMIN ")],
    ["POST /web/login", form, "login=admin&password=admin"],
    ["POST /web/login?login=admin", form, "login=demo&password=admin"],
    ["POST /base_import_module/login_upload", form, "login=admin&password=admin"],
    ["POST /jsonrpc", json, service("common", "authenticate", "prod", "admin", "admin")],
    ["POST /jsonrpc", json, service("object", "execute_kw", "prod", 2, "admin", "res.users", "read")],
    ["POST /xmlrpc/2/common", text, xml("login", "prod", "admin", "admin")],
    ["POST /xmlrpc/object", text, xml("execute", "prod", 2, "admin", "res.users", "read")],
  ] as const) {
    const answer = await h1(gateway, start, [...lines, from("203.0.113.9")], body);
    t.equal(answer.status, 403, start);
    if (start.includes("xmlrpc")) t.match(answer.body, /<fault>/);
    t.match(answer.body, /administrators('|&#39;) networks only|<title>403/);
    t.match(gateway.records().at(-1), { rule: "admin-account", verdict: "deny", upstreamMs: null });
  }
  const object = xml("execute", "prod", 2, "admin", "res.users", "read");
  const number = (value: string) => object.replace("<int>2</int>", value);
  for (const body of [
    number("<int>02</int>"),
    number("<int>+2</int>"),
    number("<double>2.0</double>"),
    number("<i4> 2 </i4>"),
    number("<string>2</string>"),
    number("<array><data><value><int>2</int></value></data></array>"),
    object.replace("<params>", "<!-- x --><params>"),
    object.replace("</params>", `${member("x".repeat(100_000))}</params>`),
  ]) {
    const answer = await h1(gateway, "POST /xmlrpc/2/object", [...text, from("203.0.113.9")], body);
    t.match(answer.body, /<fault>/, body.slice(0, 200));
  }
  for (const user of ["2.0", "2e0", '"2"', "[2]", "null", '{"2":2}']) {
    const body = service("object", "execute", "prod", 2, "admin", "res.users", "read").replace(
      ",2,",
      `,${user},`,
    );
    const answer = await h1(gateway, "POST /jsonrpc", [...json, from("203.0.113.9")], body);
    t.equal(answer.status, 403, body);
  }
  t.equal(gateway.demo.requests.length, 0, "Odoo was asked nothing");
  t.notOk(
    gateway.events.some((event) => event.type === "strike"),
    "and nothing was tried",
  );
  const authenticate = (name: string, address: string) =>
    h1(gateway, "POST /web/session/authenticate", [...json, from(address)], login(name));
  t.match((await authenticate("admin", "10.1.2.3")).body, /"uid": 2/, "from inside");
  t.match((await authenticate("demo", "203.0.113.9")).body, /"uid": 6/, "others from anywhere");
  const call = (body: string) => h1(gateway, "POST /xmlrpc/2/object", [...text, from("203.0.113.9")], body);
  t.match((await call(xml("execute", "prod", 6, "demo", "res.users", "search"))).body, /<array>/);
  const version = xml("version");
  t.match(
    (await h1(gateway, "POST /xmlrpc/2/common", [...text, from("203.0.113.9")], version)).body,
    /19\.0/,
  );
  const large = rpc({ model: "res.partner", method: "create", args: ["to authenticate".padEnd(100_000)] });
  const session = `Cookie: ${sessionPair(await authenticate("demo", "203.0.113.9"))}`;
  const imported = await h1(
    gateway,
    "POST /web/dataset/call_kw/res.partner/create",
    [...json, session, from("203.0.113.9")],
    large,
  );
  t.equal(imported.status, 200, "a large call of somebody who is logged in goes on");
});

t.test("a guess is seen in whatever way it is written, or refused", async (t) => {
  const demo = await startDemo({ languages: ["en", "fr"] });
  t.teardown(() => demo.close());
  const gateway = await startTestGateway({
    upstream: { webPort: demo.webPort, busPort: demo.busPort },
    env: { TRUSTED_NETWORKS: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const page = await rawTalk(demo.webPort, rawRequest("GET /web/login", ["Connection: close"]));
  const token = /name="csrf_token" value="([^"]+)"/.exec(page.body)?.[1] ?? "";
  const cookie = `Cookie: ${sessionPair(page)}`;
  const fields = `csrf_token=${token}&login=admin&password=guess`;
  const part = (name: string, value: string, more = "", end = "\r\n") =>
    `--b${end}Content-Disposition: form-data; name=${name}${more}${end}${end}${value}${end}`;
  const parts = (quote: string, end = "\r\n", more = "") =>
    `${part(`${quote}csrf_token${quote}`, token, "", end)}${part(`${quote}login${quote}`, "admin", more, end)}${part(`${quote}password${quote}`, "guess", "", end)}--b--${end}`;
  const multipart = "Content-Type: multipart/form-data; boundary=b";
  const chunked = (body: string) => `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  const call = xml("login", "prod", "admin", "guess");
  const login = rpc({ db: "prod", login: "admin", password: "guess" });
  const common = service("common", "login", "prod", "admin", "guess");
  const latin = (text: string) => Buffer.from(text, "utf16le").toString("latin1");
  const rows: readonly (readonly [what: string, start: string, lines: readonly string[], body: string])[] = [
    ["urlencoded", "POST /web/login", [...form, cookie], fields],
    ["another type", "POST /web/login", ["Content-Type: application/x-url-encoded", cookie], fields],
    ["encoded names", "POST /web/login", [...form, cookie], fields.replace("login", "l%6fgin")],
    ["in the query", `POST /web/login?${fields}`, [cookie], ""],
    [
      "half in the query",
      "POST /web/login?login=admin",
      [...form, cookie],
      fields.replace("login=admin&", ""),
    ],
    ["lower-case method", "post /web/login", [...form, cookie], fields],
    ["multipart", "POST /web/login", [multipart, cookie], parts('"')],
    ["multipart, names bare", "POST /web/login", [multipart, cookie], parts("")],
    ["multipart, bare line feeds", "POST /web/login", [multipart, cookie], parts('"', "\n")],
    [
      "multipart, a part in UTF-16",
      "POST /web/login",
      [multipart, cookie],
      parts('"', "\r\n", "\r\nContent-Type: text/plain; charset=utf-16-le").replace("admin", latin("admin")),
    ],
    ["chunked", "POST /web/login", [...form, cookie, "Transfer-Encoding: chunked"], chunked(fields)],
    ["upload, in the query", "POST /base_import_module/login_upload?login=admin&password=guess", [], ""],
    ["XML as bytes", "POST /xmlrpc/2/common", ["Content-Type: application/octet-stream"], call],
    ["XML in UTF-16", "POST /xmlrpc/2/common", text, `\xff\xfe${latin(call)}`],
    [
      "XML in ISO-8859-1",
      "POST /xmlrpc/2/common",
      text,
      call.replace('"1.0"', '"1.0" encoding="iso-8859-1"'),
    ],
    ["characters by number", "POST /xmlrpc/2/common", text, call.replace("admin", "&#97;dmin")],
    ["CDATA", "POST /xmlrpc/2/common", text, call.replace("admin", "<![CDATA[admin]]>")],
    [
      "an entity",
      "POST /xmlrpc/2/common",
      text,
      call.replace("?>", '?><!DOCTYPE a [<!ENTITY b "admin">]>').replace("admin</", "&b;</"),
    ],
    ["comments", "POST /xmlrpc/common", text, call.replace("<params>", "<!-- x --><params>")],
    ["a prefix", "POST /xmlrpc/2/common", text, call.replaceAll("methodCall", "a:methodCall")],
    [
      "the name behind the params",
      "POST /xmlrpc/2/common",
      text,
      call
        .replace("<methodName>login</methodName>", "")
        .replace("</methodCall>", "<methodName>login</methodName></methodCall>"),
    ],
    ["attributes", "POST /xmlrpc/2/common", text, call.replaceAll("<value>", '<value a="b">')],
    ["values without a type", "POST /xmlrpc/2/common", text, call.replaceAll(/<\/?string>/g, "")],
    [
      "escapes in JSON names",
      "POST /web/session/authenticate",
      json,
      login.replace('"login"', '"\\u006cogin"'),
    ],
    [
      "a JSON name twice",
      "POST /web/session/authenticate",
      json,
      login.replace('"login":', '"login":"x","login":'),
    ],
    ["a body in a GET", "GET /web/session/authenticate", json, login],
    ["escapes in a service", "POST /jsonrpc", json, common.replace('"common"', '"comm\\u006fn"')],
    ["a service name twice", "POST /jsonrpc", json, common.replace('"service":', '"service":"x","service":')],
    ["a language", "POST /fr/jsonrpc", json, common],
  ];
  const kept = await startTestGateway({
    upstream: { webPort: demo.webPort, busPort: demo.busPort },
    env: { ...keptApart, TRUSTED_NETWORKS: "127.0.0.1" },
  });
  t.teardown(() => kept.close());
  for (const [what, start, lines, body] of rows) {
    demo.forget();
    await h1(kept, start, lines, body);
    t.equal(demo.requests.length, 0, `${what}: an administrator's password is not tried from outside`);
    const { answer, seen } = await outcomeOf(gateway, start, lines, body);
    const reached = demo.requests.length > 0;
    if (reached) t.same(seen, ["failure"], `${what}: ${answer.status}`);
    else
      t.ok(answer.status >= 400 || answer.body.includes("<fault>"), `${what} is refused: ${answer.status}`);
  }
});
