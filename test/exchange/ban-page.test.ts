import type { Socket } from "node:net";
import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { type RawAnswer, sessionPair, valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, h2, openHttp2, until } from "./clients.ts";

const form = "Content-Type: application/x-www-form-urlencoded";
const json = "Content-Type: application/json";
const browser = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

function tokenOf(page: string): string {
  return /name="csrf_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
}

/** As a browser posts a form of this site. */
function post(gateway: TestGateway, path: string, cookie: string, fields: Record<string, string>) {
  const body = new URLSearchParams(fields).toString();
  return h1(gateway, `POST ${path}`, [form, browser, `Cookie: ${cookie}`], body);
}

/** Fills in a form so often; answers what came back each time. */
async function tries(
  gateway: TestGateway,
  path: string,
  times: number,
  fields: Record<string, string>,
): Promise<readonly RawAnswer[]> {
  const page = await h1(gateway, `GET ${path}`);
  const answers: RawAnswer[] = [];
  for (let i = 0; i < times; i += 1) {
    const csrf = { csrf_token: tokenOf(page.body) };
    answers.push(await post(gateway, path, sessionPair(page), { ...csrf, ...fields }));
  }
  return answers;
}

const statuses = (answers: readonly RawAnswer[]) => answers.map(({ status }) => status);

t.test(
  "the wrong password that brings a ban is answered with until when and why, not with a page without styles",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const answers = await tries(gateway, "/web/login", 5, { login: "admin", password: "guess" });
    t.same(statuses(answers), [200, 200, 200, 200, 403]);
    const last = answers.at(-1);
    if (last === undefined) throw new Error("no answer");
    t.match(valuesOf(last, "content-type")[0], /^text\/html/);
    t.match(valuesOf(last, "retry-after")[0], /^7\d\d\d$/);
    t.equal(valuesOf(last, "set-cookie").length, 0, "nothing of Odoo's");
    t.match(last.body, /<h1>Too many wrong passwords<\/h1>/);
    t.match(
      last.body,
      /until \d{4}-\d\d-\d\d \d\d:\d\d UTC \(2 hours from now\), because one account was tried/,
    );
    t.match(last.body, /ask your administrator/);
    t.notMatch(last.body, /<link|<script|<img|src=|admin\b/, "needs nothing else, names nobody");
    const seen = gateway.events.flatMap((event) => (event.type === "login" ? [event.outcome] : []));
    t.same(seen, ["failure", "failure", "failure", "failure", "failure"]);
    t.match(gateway.records().at(-1), { status: 403, verdict: "banned", rule: "ban-pair" });
    await until(() => gateway.running.gateway.exchanges === 0);
    const again = await h1(gateway, "GET /web/login", [browser]);
    t.equal(again.status, 403);
    t.match(again.body, /<h1>Too many wrong passwords<\/h1>/, "the same page from then on");
  },
);

t.test(
  "the forms whose outcome stands in the page: codes, own password, unknown names; and over HTTP/2",
  async (t) => {
    for (const [path, fields] of [
      ["/web/reset_password", { login: "nobody" }],
      ["/web/signup", { login: "admin" }],
    ] as const) {
      const gateway = await startTestGateway({ env: { LOGIN_BANS: "guide" } });
      t.teardown(() => gateway.close());
      const answers = await tries(gateway, path, 5, fields);
      t.same(statuses(answers), [200, 200, 200, 200, 403], path);
      t.ok(
        answers.slice(0, 4).every(({ body }) => body.includes("</html>")),
        "a page held back arrives whole",
      );
    }
    const codes = await startTestGateway();
    t.teardown(() => codes.close());
    const [half] = await tries(codes, "/web/login", 1, { login: "carol", password: "carol" });
    if (half === undefined) throw new Error("no answer");
    const device = valuesOf(half, "set-cookie").some((line) => line.startsWith("__Host-device="));
    t.ok(device, "a right password makes the browser known, before its code too");
    const ask = await h1(codes, "GET /web/login/totp", [`Cookie: ${sessionPair(half)}`]);
    const seen: RawAnswer[] = [];
    for (let i = 0; i < 5; i += 1)
      seen.push(
        await post(codes, "/web/login/totp", sessionPair(half), {
          csrf_token: tokenOf(ask.body),
          totp_token: "000000",
        }),
      );
    t.same(statuses(seen), [200, 200, 200, 200, 403]);
    t.match(seen.at(-1)?.body, /wrong passwords or codes/);

    const own = await startTestGateway({ env: { LOGIN_BANS: "guide" } });
    t.teardown(() => own.close());
    const [done] = await tries(own, "/web/login", 1, { login: "demo", password: "demo" });
    if (done === undefined) throw new Error("no answer");
    const session = sessionPair(done);
    const page = await h1(own, "GET /my/security", [`Cookie: ${session}`]);
    const change = (old: string) =>
      post(own, "/my/security", session, { csrf_token: tokenOf(page.body), op: "password", old });
    const changes: RawAnswer[] = [];
    for (let i = 0; i < 5; i += 1) changes.push(await change("guess"));
    t.same(statuses(changes), [200, 200, 200, 200, 403]);
    t.match(changes.at(-1)?.body, /too many log-ins failed/);

    const twice = await startTestGateway();
    t.teardown(() => twice.close());
    const first = await h1(twice, "GET /web/login");
    const connection = await openHttp2(twice);
    const fields = {
      ":method": "POST",
      ":path": "/web/login",
      accept: "text/html",
      "content-type": "application/x-www-form-urlencoded",
      cookie: sessionPair(first),
    };
    const body = new URLSearchParams({ csrf_token: tokenOf(first.body), login: "admin", password: "guess" });
    const over: number[] = [];
    for (let i = 0; i < 5; i += 1) over.push((await h2(connection, twice, fields, body.toString())).status);
    connection.close();
    t.same(over, [200, 200, 200, 200, 403]);
  },
);

t.test("BAN_ANSWER=drop: the wrong password that brings the ban is answered with nothing", async (t) => {
  const gateway = await startTestGateway({ env: { BAN_ANSWER: "drop" } });
  t.teardown(() => gateway.close());
  const answers = await tries(gateway, "/web/login", 5, { login: "admin", password: "guess" });
  t.equal(answers.at(-1)?.bytes.length, 0);
});

t.test(
  "a ban that begins while a right password is on its way does not tell that it was right",
  async (t) => {
    const waiting: Socket[] = [];
    const odoo = await startScripted((socket) => void waiting.push(socket), { wholeBody: true });
    t.teardown(() => odoo.close());
    const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: odoo.port } });
    t.teardown(() => gateway.close());
    const attempt = post(gateway, "/web/login", "session_id=x", { login: "admin", password: "admin" });
    await until(() => waiting.length > 0);
    gateway.running.shared.jail.ban("127.0.0.1", Date.now() + 3_600_000);
    waiting[0]?.end(
      `HTTP/1.0 303 SEE OTHER\r\nLocation: /odoo\r\nSet-Cookie: session_id=${"a".repeat(84)}\r\nContent-Length: 0\r\n\r\n`,
    );
    const answer = await attempt;
    t.equal(answer.status, 403);
    t.equal(valuesOf(answer, "location").length, 0);
    t.equal(valuesOf(answer, "set-cookie").length, 0);
    t.match(answer.body, /administrator&#39;s decision/);
    t.ok(gateway.events.some((event) => event.type === "login" && event.outcome === "success"));
  },
);

t.test("an Odoo that breaks off while its page is held back gets its own page", async (t) => {
  const odoo = await startScripted(
    (socket) => {
      socket.write("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 50000\r\n\r\n<html>");
      setImmediate(() => socket.resetAndDestroy());
    },
    { wholeBody: true },
  );
  t.teardown(() => odoo.close());
  const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: odoo.port } });
  t.teardown(() => gateway.close());
  const answer = await post(gateway, "/my/security", "session_id=x", { op: "password", old: "x" });
  t.equal(answer.status, 502);
  await until(() => gateway.running.gateway.exchanges === 0);
});

t.test("programs are told of a ban in the shape their library reads", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const guess = JSON.stringify({ jsonrpc: "2.0", params: { db: "prod", login: "admin", password: "x" } });
  for (let i = 0; i < 5; i += 1)
    t.equal((await h1(gateway, "POST /web/session/authenticate", [json, browser], guess)).status, 200);
  const ask = async (start: string, ...lines: string[]) => {
    const answer = await h1(gateway, start, lines, start.startsWith("POST") ? "x" : "");
    t.equal(answer.status, 403, start);
    t.match(valuesOf(answer, "retry-after")[0], /^7\d\d\d$/);
    t.match(answer.body, /until \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
    return { type: valuesOf(answer, "content-type")[0] ?? "", body: answer.body };
  };
  const rpc = await ask("POST /jsonrpc", json);
  t.match(JSON.parse(rpc.body), { jsonrpc: "2.0", error: { data: { name: "odoo.exceptions.UserError" } } });
  const fault = await ask("POST /xmlrpc/2/common", "Content-Type: text/xml");
  t.match(fault.type, /^text\/xml/);
  t.match(fault.body, /<fault>.*<name>faultString<\/name>/s);
  const two = await ask("POST /json/2/res.partner/read", json, "Authorization: Bearer x");
  t.match(JSON.parse(two.body), { name: "werkzeug.exceptions.Forbidden" });
  t.match((await ask("GET /")).type, /^text\/plain/);
});
