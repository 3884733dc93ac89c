import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { h1, h2, openHttp2, openTls, requestText, until } from "../exchange/clients.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";

const json = "Content-Type: application/json";
const proxied = { TRUSTED_PROXIES: "127.0.0.1" };
const rpc = (params: object) => JSON.stringify({ jsonrpc: "2.0", id: 1, params });
const param = (value: string | number) =>
  `<param><value>${typeof value === "number" ? `<int>${value}</int>` : `<string>${value}</string>`}</value></param>`;
const xml = (method: string, ...params: (string | number)[]) =>
  `<?xml version="1.0"?><methodCall><methodName>${method}</methodName><params>${params.map(param).join("")}</params></methodCall>`;

/** Requests of these paths that Odoo saw. */
function tried(gateway: TestGateway, path: string): number {
  return gateway.demo.requests.filter((request) => request.path.includes(path)).length;
}

t.test(
  "no door lets more than five guesses at one account through, in whatever way they are written",
  async (t) => {
    const wide = rpc({ db: "prod", login: "admin", password: "x" });
    const escaped = wide.replace('"login"', '"\\u006cogin"');
    const doors: readonly [string, string, string][] = [
      ["POST /web/session/authenticate", json, wide],
      ["PUT /fr/web/session/authenticate", "Content-Type: application/json-rpc", escaped],
      ["POST /english/xmlrpc/2/common", "Content-Type: text/xml", xml("login", "prod", "admin", "x")],
      ["POST /xmlrpc/common", "Content-Type: text/plain", xml("authenticate", "prod", "admin", "x")],
      [
        "POST /xmlrpc/2/object",
        "Content-Type: text/xml",
        xml("execute_kw", "prod", 2, "x", "res.users", "read"),
      ],
      ["GET /jsonrpc", json, rpc({ service: "common", method: "login", args: ["prod", "admin", "x"] })],
      [
        "POST /fr/jsonrpc",
        json,
        rpc({ service: "object", method: "execute_kw", args: ["prod", 2, "x", "res.users", "read"] }),
      ],
      ["POST /base_import_module/login_upload?login=admin&password=x", json, ""],
      [
        "POST /base_import_module/login_upload",
        "Content-Type: application/x-www-form-urlencoded",
        "lo%67in=admin&password=x",
      ],
    ];
    for (const [start, type, body] of doors) {
      const gateway = await startTestGateway({ demo: { languages: ["en", "fr", "english"] } });
      const path = start.split(/[ ?]/)[1]?.split("/").at(-1) ?? "";
      for (let i = 0; i < 8; i += 1) await h1(gateway, start, [type], body);
      t.equal(tried(gateway, path), 5, start);
      await gateway.close();
    }
  },
);

t.test("who writes a name oddly has no more tries than others, alone and from everywhere", async (t) => {
  const plain = xml("login", "prod", "admin", "x");
  const twice = `{"params":{"db":"prod","login":"demo","login":"admin","password":"x"}}`;
  const spread = `{"params":{"service":"common","method":"login","args":{"prod":1,"admin":1,"x":1}}}`;
  const huge = rpc({ db: "prod", login: "admin", password: "x", pad: "x".repeat(100_000) });
  const form = "Content-Type: application/x-www-form-urlencoded";
  const odd: readonly [string, string, string][] = [
    ["POST /xmlrpc/2/common", "Content-Type: text/xml", plain.replace("admin", "ad<!-- -->min")],
    ["POST /xmlrpc/2/common", "Content-Type: text/xml", plain.replace("admin", "<![CDATA[admin]]>")],
    ["POST /web/session/authenticate", json, twice],
    ["POST /web/session/authenticate", json, huge],
    ["POST /base_import_module/login_upload?login=demo", form, "login=admin&password=x"],
  ];
  for (const [start, type, body] of odd) {
    const gateway = await startTestGateway({ env: proxied });
    const path = start.split(/[ ?]/)[1]?.split("/").at(-1) ?? "";
    const from = (address: string) => h1(gateway, start, [type, `X-Forwarded-For: ${address}`], body);
    for (let i = 0; i < 8; i += 1) await from("203.0.113.1");
    t.equal(tried(gateway, path), 5, `${start} ${body.slice(0, 60)}`);
    t.match(
      gateway.events.find((event) => event.type === "ban"),
      { why: "pair" },
    );
    for (let i = 0; i < 60; i += 1) await from(`203.0.113.${10 + i}`);
    t.ok(tried(gateway, path) <= 25, `${tried(gateway, path)} of 68 reached Odoo`);
    await gateway.close();
  }
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (let i = 0; i < 8; i += 1) await h1(gateway, "POST /jsonrpc", [json], spread);
  t.ok(tried(gateway, "jsonrpc") <= 5, "keys that Python takes for a list");
  const other = await startTestGateway();
  t.teardown(() => other.close());
  for (let i = 0; i < 8; i += 1) {
    // A good call of one's own between them: what is tried is another's account.
    const args = ["prod", 2, "x", "res.users", "authenticate", [{ login: "victim", password: `${i}` }]];
    await h1(other, "POST /jsonrpc", [json], rpc({ service: "object", method: "execute_kw", args }));
    const own = ["prod", 3, "demo", "res.users", "read", [[3]]];
    await h1(other, "POST /jsonrpc", [json], rpc({ service: "object", method: "execute_kw", args: own }));
  }
  t.equal(
    other.demo.requests.filter(({ path }) => path === "/jsonrpc").length,
    9,
    "five of one, four of the other",
  );
});

t.test("who hangs up before Odoo has answered is counted when it does, whatever he wrote on", async (t) => {
  const answers: ((text: string) => void)[] = [];
  const odoo = await startScripted(
    (socket) => {
      answers.push((text) => socket.end(text));
    },
    { wholeBody: true },
  );
  const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: odoo.port } });
  t.teardown(async () => {
    await gateway.close();
    await odoo.close();
  });
  const page = "<html><body>again</body></html>";
  const wrong = `HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${page.length}\r\n\r\n${page}`;
  const right =
    "HTTP/1.0 303 SEE OTHER\r\nLocation: /odoo\r\nSet-Cookie: session_id=new; Path=/\r\nContent-Length: 0\r\n\r\n";
  const logins = () => gateway.events.flatMap((event) => (event.type === "login" ? [event.outcome] : []));
  const records = () => gateway.records().filter(({ method }) => method === "POST");
  const form = ["Content-Type: application/x-www-form-urlencoded"];
  const body = "login=admin&password=x&csrf_token=t";
  for (const [at, answer] of [wrong, wrong, right, wrong].entries()) {
    if (at % 2 === 0) {
      const socket = await openTls(gateway);
      socket.on("error", () => {});
      socket.write(requestText(gateway, "POST /web/login", form, body));
      await until(() => answers.length === 1);
      socket.destroy();
    } else {
      const session = await openHttp2(gateway);
      const stream = session.request({
        ":method": "POST",
        ":path": "/web/login",
        ":authority": `odoo.test:${gateway.httpsPort}`,
        "content-type": "application/x-www-form-urlencoded",
      });
      stream.on("error", () => {});
      stream.end(body);
      await until(() => answers.length === 1);
      stream.close(8);
      await until(() => records().length === at + 1);
      session.destroy();
    }
    await until(() => records().length === at + 1);
    t.equal(records().at(-1)?.status, 499, "the client is gone");
    t.equal(logins().length, at, "and Odoo still at it");
    answers.shift()?.(answer);
    await until(() => logins().length === at + 1);
  }
  t.same(logins(), ["failure", "failure", "success", "failure"]);
  t.equal(gateway.events.filter((event) => event.type === "strike").length, 3);
  t.equal(gateway.running.queue().inFlight, 0, "nothing is held behind it");
});

t.test(
  "another site's page does not have a visitor's office banned, nor try passwords in his name",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const foreign = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"];
    const text = "Content-Type: text/plain";
    for (let i = 0; i < 25; i += 1) {
      t.equal((await h1(gateway, `GET /.env?${i}`, foreign)).status, 404);
      await h1(gateway, `GET /.git/config?${i}`, ["Sec-Fetch-Site: same-origin", "Sec-Fetch-Dest: image"]);
      const knocks: readonly (readonly [string, string[], string?])[] = [
        ["POST /base_import_module/login_upload?login=admin&password=x", foreign],
        ["POST /xmlrpc/2/common", [...foreign, text], xml("login", "prod", "admin", "x")],
        ["GET /web/reset_password?signup_email=a@b.test", foreign],
        ["GET /auth_oauth/signin?state=x", ["Sec-Fetch-Site: same-site", "Sec-Fetch-Dest: image"]],
      ];
      for (const [start, lines, body] of knocks)
        t.equal((await h1(gateway, start, lines, body)).status, 403, start);
    }
    t.same(gateway.demo.requests, [], "Odoo saw none");
    t.notOk(gateway.events.some((event) => event.type === "ban" || event.type === "strike"));
    const link = ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: document"];
    t.equal((await h1(gateway, "GET /web/reset_password?signup_email=a@b.test", link)).status, 200);
    const own = ["Sec-Fetch-Site: same-origin", "Content-Type: text/xml"];
    t.equal((await h1(gateway, "POST /xmlrpc/2/common", own, xml("version"))).status, 200);
    for (let i = 0; i < 25; i += 1) await h1(gateway, `GET /.env?${i}`);
    t.ok(
      gateway.events.some((event) => event.type === "ban"),
      "a scanner still is",
    );
  },
);

t.test("an Odoo in trouble has nobody banned, and one that answers others still counts", async (t) => {
  let isWell = true;
  const odoo = await startScripted(
    (socket, received) => {
      const isBroken = !isWell || received.includes("login=broken");
      const status = isBroken ? "500 INTERNAL SERVER ERROR" : "200 OK";
      socket.end(`HTTP/1.0 ${status}\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\npage`);
    },
    { wholeBody: true },
  );
  const clock = manualClock(Date.now());
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    clock,
    env: proxied,
  });
  t.teardown(async () => {
    await gateway.close();
    await odoo.close();
  });
  const form = "Content-Type: application/x-www-form-urlencoded";
  const guess = (login: string, from: string) =>
    h1(gateway, "POST /web/login", [form, `X-Forwarded-For: ${from}`], `login=${login}&password=x`);
  const strikes = () => gateway.events.filter((event) => event.type === "strike").length;
  await guess("anna", "203.0.113.1");
  await until(() => strikes() === 1);
  await guess("broken", "203.0.113.2");
  await until(() => strikes() === 2);
  clock.advance(61_000);
  isWell = false;
  for (let i = 0; i < 30; i += 1) {
    clock.advance(5_000);
    t.equal((await guess(`user${i}`, "203.0.113.3")).status, 500);
  }
  await until(() => gateway.running.gateway.exchanges === 0);
  t.equal(strikes(), 2);
});

t.test("one address on a thousand accounts, and a thousand addresses on one account", async (t) => {
  const gateway = await startTestGateway({
    env: { ...proxied, CONNECTIONS_PER_CLIENT: "4000" },
    demo: { workers: 4, recordMax: 4_000 },
    // However long two thousand guesses take here: nobody's limit fills up again meanwhile.
    clock: manualClock(Date.now()),
  });
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  const fields = {
    ":method": "POST",
    ":path": "/web/session/authenticate",
    "content-type": "application/json",
  };
  const guess = (login: string, from: string) =>
    h2(session, gateway, { ...fields, "x-forwarded-for": from }, rpc({ db: "prod", login, password: "x" }));
  const statuses: number[] = [];
  for (let i = 0; i < 1_000; i += 1) statuses.push((await guess(`user${i}`, "203.0.113.1")).status);
  const sprayed = tried(gateway, "authenticate");
  t.ok(sprayed >= 16 && sprayed <= 20, `${sprayed} of 1000 accounts were tried`);
  t.ok(statuses.slice(20).every((status) => status === 429 || status === 403));
  gateway.demo.forget();
  for (let i = 0; i < 1_000; i += 20) {
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => guess("admin", `198.${18 + ((i + n) >> 8)}.0.${(i + n) & 255}`)),
    );
  }
  session.close();
  const seen = tried(gateway, "authenticate");
  t.ok(seen >= 20 && seen <= 42, `${seen} of 1000 guesses reached Odoo`);
  t.ok(gateway.events.some((event) => event.type === "limited" && event.limit === "account-attacked"));
});

t.test(
  "programs with the right password call in parallel from the first second: no 429, no ban",
  async (t) => {
    const gateway = await startTestGateway({ demo: { workers: 8 } });
    t.teardown(() => gateway.close());
    const good = xml("execute_kw", "prod", 2, "admin", "res.partner", "search");
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        h1(gateway, "POST /xmlrpc/2/object", ["Content-Type: text/xml"], good),
      ),
    );
    t.same(new Set(answers.map((answer) => answer.status)), new Set([200]));
    t.equal(gateway.events.filter((event) => event.type === "ban" || event.type === "limited").length, 0);
  },
);

t.test("an endless body on a log-in route ends, and holds nobody up", async (t) => {
  const gateway = await startTestGateway({ env: { BODY_MAX: "1MiB" } });
  t.teardown(() => gateway.close());
  const socket = await openTls(gateway);
  const head = requestText(gateway, "POST /web/login", [
    "Content-Type: application/x-www-form-urlencoded",
    "Transfer-Encoding: chunked",
  ]);
  const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
  const answer = await rawTalk(0, head + chunk.repeat(20), { socket });
  t.equal(answer.status, 413);
  t.equal(tried(gateway, "login"), 0);
  t.equal((await h1(gateway, "GET /web/login")).status, 200);
  await until(() => gateway.running.gateway.exchanges === 0);
});
