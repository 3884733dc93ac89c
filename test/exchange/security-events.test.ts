import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { sessionPair } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, hostOf, openTls, recordOf } from "./clients.ts";

const chrome =
  "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0";
const json = "Content-Type: application/json";

async function ask(
  gateway: TestGateway,
  start: string,
  from: string,
  agent: string,
  lines: string[] = [],
  body = "",
) {
  const socket = await openTls(gateway, from);
  return h1(gateway, start, [`User-Agent: ${agent}`, ...lines], body, { socket });
}

/** Logs in there; answers the cookie's `name=value`. */
async function logIn(gateway: TestGateway, from: string, agent: string): Promise<string> {
  const params = { db: "prod", login: "admin", password: "admin" };
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, params });
  return sessionPair(await ask(gateway, "POST /web/session/authenticate", from, agent, [json], body));
}

const moved = ({ events }: TestGateway) => events.filter(({ type }) => type === "session-moved");
const failed = ({ events }: TestGateway) => events.filter(({ type }) => type === "payment-failed");

t.test("a stolen cookie used elsewhere in another browser is told, and nothing is refused", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const cookie = await logIn(gateway, "127.0.1.1", chrome);
  t.equal((await ask(gateway, "GET /odoo", "127.0.1.1", chrome, [`Cookie: ${cookie}`])).status, 200);
  t.same(moved(gateway), []);
  const stolen = await ask(gateway, "GET /odoo?stolen", "127.0.2.1", firefox, [`Cookie: ${cookie}`]);
  t.equal(stolen.status, 200);
  const login = gateway.events.find(({ type }) => type === "login");
  const { id } = await recordOf(gateway, "/odoo?stolen");
  t.match(moved(gateway), [
    {
      id,
      client: "127.0.2.1",
      why: "other-browser",
      networks: ["127.0.1.0/24", "127.0.2.0/24"],
      agents: ["Chrome on Windows", "Firefox on Linux"],
    },
  ]);
  const [told] = moved(gateway);
  t.ok(told?.type === "session-moved" && login?.type === "login" && told.account === login.account);
  t.notOk(
    JSON.stringify(gateway.events).includes(cookie.slice("session_id=".length, 60)),
    "no id of a session",
  );
});

t.test("a session that two use at the same time is told, also in the same kind of browser", async (t) => {
  const clock = manualClock(Date.now());
  const gateway = await startTestGateway({ clock });
  t.teardown(() => gateway.close());
  const cookie = [`Cookie: ${await logIn(gateway, "127.0.1.1", chrome)}`];
  for (let i = 0; i < 8; i += 1) {
    const from = i % 2 === 0 ? "127.0.1.1" : "127.0.2.1";
    t.equal((await ask(gateway, "GET /odoo", from, chrome, cookie)).status, 200);
    clock.advance(15_000);
  }
  t.match(moved(gateway), [{ why: "two-networks", agents: ["Chrome on Windows"] }]);
});

t.test(
  "a cookie that never logged in is followed by nobody, and trusted networks are one place",
  async (t) => {
    const gateway = await startTestGateway({ env: { TRUSTED_NETWORKS: "127.0.1.0/24, 127.0.2.0/24" } });
    t.teardown(() => gateway.close());
    const made = `session_id=${"x".repeat(84)}`;
    await ask(gateway, "GET /web/login", "127.0.1.1", chrome, [`Cookie: ${made}`]);
    await ask(gateway, "GET /web/login", "127.0.3.1", firefox, [`Cookie: ${made}`]);
    t.same(moved(gateway), []);
    const cookie = [`Cookie: ${await logIn(gateway, "127.0.1.1", chrome)}`];
    await ask(gateway, "GET /odoo", "127.0.2.1", firefox, cookie);
    t.same(moved(gateway), []);
    await ask(gateway, "GET /odoo", "127.0.3.1", "curl/8.5.0", cookie);
    t.match(moved(gateway), [{ networks: ["TRUSTED_NETWORKS", "127.0.3.0/24"] }]);
  },
);

t.test(
  "failed payments are told with their kind, whoever's fault it is, without query and body",
  async (t) => {
    const upstream = await startScripted((socket, received) => {
      const line = received.toString("latin1").split("\r\n", 1)[0] ?? "";
      const status = line.includes("?ok") ? "200 OK" : line.includes("?gone") ? "404 Not Found" : "500 Oops";
      socket.end(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    });
    t.teardown(() => upstream.close());
    const gateway = await startTestGateway({
      upstream: { webPort: upstream.port, busPort: upstream.port },
    });
    t.teardown(() => gateway.close());
    const secret = "token=s3cr3tvalue";
    await h1(gateway, `POST /payment/stripe/webhook?${secret}`, [json], '{"card":"4242424242424242"}');
    await h1(gateway, `GET /fr/payment/redsys/return?gone&${secret}`);
    await h1(gateway, "POST /payment/transaction?ok", [json], "{}");
    await h1(gateway, "GET /shop/payment?gone");
    await h1(gateway, "GET /shop?gone");
    // Plain HTTP is answered with a redirect, which no provider follows.
    await h1(gateway, "POST /payment/adyen/notification", [json], "{}", { plain: true });
    await h1(gateway, "GET /payment/status", [], "", { plain: true });
    t.match(failed(gateway), [
      { route: "webhook", provider: "stripe", status: 500, verdict: "forward", failure: null },
      { route: "return", provider: "redsys", status: 404 },
      { route: "payment", provider: null, status: 404 },
      { route: "webhook", provider: "adyen", status: 308, verdict: "redirect", rule: "plain-http" },
    ]);
    t.equal(failed(gateway).length, 4);
    t.notMatch(JSON.stringify(failed(gateway)), /s3cr3t|4242|\/payment/);
    const ids = new Set(gateway.records().map(({ id }) => id));
    for (const event of failed(gateway)) t.ok(event.type === "payment-failed" && ids.has(event.id));
  },
);

t.test("a provider that gives up before Odoo answers is told; a customer who leaves is not", async (t) => {
  let heard: (line: string) => void = () => {};
  const upstream = await startScripted((_socket, received) =>
    heard(received.toString("latin1").split("\r\n", 1)[0] ?? ""),
  );
  t.teardown(() => upstream.close());
  const gateway = await startTestGateway({
    upstream: { webPort: upstream.port, busPort: upstream.port },
  });
  t.teardown(() => gateway.close());
  for (const start of ["GET /payment/status", "POST /payment/xendit/webhook"]) {
    const reached = new Promise<void>((resolve) => {
      heard = (line) => (line.startsWith(start) ? resolve() : undefined);
    });
    const socket = await openTls(gateway);
    socket.write(`${start} HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nContent-Length: 0\r\n\r\n`);
    await reached;
    socket.destroy();
    t.equal((await recordOf(gateway, start.split(" ")[1] ?? "")).status, 499);
  }
  t.match(failed(gateway), [{ route: "webhook", provider: "xendit", status: 499 }]);
  t.equal(failed(gateway).length, 1);
});
