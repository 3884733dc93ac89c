import t from "tap";
import { withWideLogin } from "../support/bans.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { sessionPair, valuesOf } from "../support/upstream-raw.ts";
import { h1, h2, openHttp2, until } from "./clients.ts";

const json = "Content-Type: application/json";
const proxied = { TRUSTED_PROXIES: "127.0.0.1" };

function tokenOf(page: string): string {
  return /name="csrf_token" value="([^"]+)"/.exec(page)?.[1] ?? "";
}

function guess(gateway: TestGateway, login: string, password: string, from?: string) {
  const body = JSON.stringify({ jsonrpc: "2.0", params: { db: "prod", login, password } });
  const lines = from === undefined ? [json] : [json, `X-Forwarded-For: ${from}`];
  return h1(gateway, "POST /web/session/authenticate", lines, body);
}

t.test("five guesses, then nothing is accepted: no other door, no other spelling, no page", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (let i = 0; i < 5; i += 1) t.equal((await guess(gateway, "admin", `g${i}`)).status, 200);
  gateway.demo.forget();
  const banned = await guess(gateway, "admin", "admin");
  t.equal(banned.status, 403);
  t.match(valuesOf(banned, "retry-after")[0], /^7\d\d\d$/);
  t.match(banned.body, /until \d{4}-\d\d-\d\d \d\d:\d\d UTC/);
  for (const start of [
    "GET /",
    "GET /web/login",
    "POST /fr/web/session/authenticate",
    "POST //web/login",
    "GET /%77eb",
  ])
    t.ok([403, 400].includes((await h1(gateway, start)).status), start);
  const session = await openHttp2(gateway);
  t.equal((await h2(session, gateway, { ":method": "GET", ":path": "/" })).status, 403);
  session.close();
  t.equal(gateway.demo.requests.length, 0);
  t.match(gateway.events.filter((event) => event.type === "strike").at(-1), {
    client: "127.0.0.1",
    why: "login",
    marks: 5,
  });
  const ban = gateway.events.find((event) => event.type === "ban");
  t.match(ban, { client: "127.0.0.1", why: "pair", times: 1 });
  t.notMatch(
    JSON.stringify(gateway.events.filter((event) => event.type !== "access" && event.type !== "listening")),
    /admin"/,
    "no name in an event",
  );
});

t.test("spoofed forwarding headers neither escape a ban nor put one on others", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  for (let i = 0; i < 5; i += 1) await guess(gateway, "admin", `g${i}`, `198.51.100.${i}`);
  t.equal((await guess(gateway, "admin", "admin", "198.51.100.77")).status, 403);
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { client: "127.0.0.1" },
  );
});

t.test("a proxy that TRUSTED_PROXIES forgot does not lock the company out: loud, slow, no ban", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  t.match(
    (await guess(gateway, "demo", "demo", "198.51.100.1")).body,
    /"uid": 6/,
    "somebody works through it",
  );
  for (let i = 0; i < 5; i += 1) await guess(gateway, "admin", `g${i}`, "203.0.113.66");
  for (let i = 0; i < 30; i += 1) await h1(gateway, "GET /.env", ["X-Forwarded-For: 203.0.113.66"]);
  t.match((await guess(gateway, "demo", "demo", "198.51.100.1")).body, /"uid": 6/);
  const statuses = [];
  for (let i = 0; i < 4; i += 1)
    statuses.push((await guess(gateway, "admin", `h${i}`, "203.0.113.66")).status);
  t.same(statuses.slice(1), [429, 429, 429], "the account that is attacked is tried no more");
  t.notOk(gateway.events.some((event) => event.type === "ban"));
  const warned = gateway.events.find((event) => event.type === "warning" && event.what === "bans");
  t.match(warned, { detail: /127\.0\.0\.1 would be banned .*TRUSTED_PROXIES/ });
});

t.test("wrong codes of a second factor are guesses at the account whose password was right", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const form = "Content-Type: application/x-www-form-urlencoded";
  const halfOpen = async () => {
    const page = await h1(gateway, "GET /web/login");
    const body = new URLSearchParams({ csrf_token: tokenOf(page.body), login: "carol", password: "carol" });
    return h1(gateway, "POST /web/login", [form, `Cookie: ${sessionPair(page)}`], body.toString());
  };
  const tryCode = async (cookie: string, code: string) => {
    const ask = await h1(gateway, "GET /web/login/totp", [`Cookie: ${cookie}`]);
    const body = new URLSearchParams({ csrf_token: tokenOf(ask.body), totp_token: code }).toString();
    return h1(gateway, "POST /web/login/totp", [form, `Cookie: ${cookie}`], body);
  };
  const statuses: number[] = [];
  for (let i = 0; i < 6; i += 1) {
    const half = await halfOpen();
    statuses.push(half.status);
    if (half.status === 303) statuses.push((await tryCode(sessionPair(half), `00000${i}`)).status);
  }
  t.same(
    statuses,
    [303, 200, 303, 200, 303, 200, 303, 200, 303, 200, 403],
    "logging in again wipes nothing out",
  );
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { why: "pair" },
  );
});

const staging = { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD: "correct horse" };
const credentials = (password: string) => `Authorization: Basic ${btoa(`team:${password}`)}`;

t.test("a staging site's password is guessed five times, and then nothing is accepted", async (t) => {
  const gateway = await startTestGateway({ env: staging });
  t.teardown(() => gateway.close());
  const statuses = [];
  for (let i = 0; i < 5; i += 1)
    statuses.push((await h1(gateway, "GET /web/login", [credentials(`g${i}`)])).status);
  t.same(statuses, [401, 401, 401, 401, 403], "the fifth is told so");
  t.equal((await h1(gateway, "GET /web/login", [credentials("correct horse")])).status, 403);
  t.equal((await h1(gateway, "GET /payment/status")).status, 403, "webhooks' paths are closed to it, too");
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { client: "127.0.0.1", why: "pair" },
  );
  const strikes = gateway.events.filter((event) => event.type === "strike");
  t.equal(strikes.length, 5);
  t.match(strikes[4], { client: "127.0.0.1", why: "login", marks: 5 });
  t.equal(gateway.demo.requests.length, 0);
});

t.test("nobody has an office banned from a staging site by a page, a stale browser, or a slip", async (t) => {
  const gateway = await startTestGateway({ env: staging });
  t.teardown(() => gateway.close());
  const page = "Sec-Fetch-Site: cross-site";
  for (let i = 0; i < 6; i += 1) await h1(gateway, "GET /web/login", [credentials(`p${i}`), page]);
  t.equal(gateway.events.filter((event) => event.type === "strike").length, 0, "another site's page");
  await gateway.close();

  const other = await startTestGateway({ env: staging });
  t.teardown(() => other.close());
  for (let i = 0; i < 3; i += 1) await h1(other, "GET /web/login", [credentials("stale")]);
  t.equal(other.events.filter((event) => event.type === "strike").length, 1, "one password, sent thrice");
  t.equal((await h1(other, "GET /web/login", [credentials("correct horse")])).status, 200);
  t.equal((await h1(other, "GET /web/login", [credentials("slip")])).status, 401);
  const last = other.events.filter((event) => event.type === "strike").at(-1);
  t.match(last, { marks: 1 }, "a right one wipes out what was mistyped before");
});

t.test(
  "a staging site whose LOGIN_BANS is off, or whose office is trusted, only slows guesses",
  async (t) => {
    for (const env of [{ LOGIN_BANS: "off" }, { TRUSTED_NETWORKS: "127.0.0.1" }]) {
      const gateway = await startTestGateway({ env: { ...staging, ...env } });
      t.teardown(() => gateway.close());
      const statuses = [];
      for (let i = 0; i < 7; i += 1)
        statuses.push((await h1(gateway, "GET /web/login", [credentials(`g${i}`)])).status);
      t.same(statuses, [401, 401, 401, 401, 401, 401, 429], JSON.stringify(env));
      t.notOk(gateway.events.some((event) => event.type === "strike" || event.type === "ban"));
    }
  },
);

t.test("IPv6: one /64 is one guesser, the next is another", async (t) => {
  const gateway = await startTestGateway({ env: proxied });
  t.teardown(() => gateway.close());
  for (let i = 0; i < 5; i += 1) await guess(gateway, "admin", `g${i}`, `2001:db8:1:2::${i + 1}`);
  t.equal((await guess(gateway, "admin", "x", "2001:db8:1:2:ffff::9")).status, 403);
  t.equal((await guess(gateway, "admin", "admin", "2001:db8:1:3::1")).status, 200);
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { client: "2001:db8:1:2::/64" },
  );
});

t.test("guesses multiplexed on one HTTP/2 connection get no more than five tries", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const session = await openHttp2(gateway);
  const body = (i: number) => JSON.stringify({ params: { db: "prod", login: "admin", password: `g${i}` } });
  const fields = {
    ":method": "POST",
    ":path": "/web/session/authenticate",
    "content-type": "application/json",
  };
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => h2(session, gateway, fields, body(i))),
  );
  session.close();
  t.equal(answers.filter((answer) => answer.status === 200).length, 5);
  t.ok(
    answers.every((answer) => [200, 403].includes(answer.status)),
    answers.map((answer) => answer.status).join(" "),
  );
  t.equal(gateway.demo.requests.filter((request) => request.path.includes("authenticate")).length, 5);
});

t.test(
  "an office behind one address: thirty log-ins at once, three people mistype twice; no 429 and no ban",
  async (t) => {
    const users = Array.from({ length: 30 }, (_, i) => ({
      uid: 100 + i,
      login: `u${i}`,
      password: `p${i}`,
      name: `U${i}`,
      portal: false,
      admin: false,
      totp: null,
      apiKey: null,
    }));
    // Everything as shipped.
    const gateway = await startTestGateway({ demo: { users, workers: 4 } });
    t.teardown(() => gateway.close());
    const statuses = await Promise.all(
      users.map(async ({ login, password }, i) => {
        const tries = i % 10 === 0 ? ["typo1", "typo2", password] : [password];
        const seen: number[] = [];
        for (const one of tries) {
          const page = await h1(gateway, "GET /web/login");
          const answer = await h1(
            gateway,
            "POST /web/login",
            ["Content-Type: application/x-www-form-urlencoded", `Cookie: ${sessionPair(page)}`],
            new URLSearchParams({ csrf_token: tokenOf(page.body), login, password: one }).toString(),
          );
          seen.push(page.status, answer.status);
          if (answer.status !== 303) continue;
          seen.push((await h1(gateway, "GET /odoo", [`Cookie: ${sessionPair(answer)}`])).status);
        }
        return seen;
      }),
    );
    t.same(
      statuses.map((seen) => seen.join(" ")),
      users.map((_, i) => `${"200 200 ".repeat(i % 10 === 0 ? 2 : 0)}200 303 200`),
    );
    t.equal(gateway.events.filter((event) => event.type === "ban" || event.type === "limited").length, 0);
    t.equal(
      gateway.events.filter((event) => event.type === "login" && event.outcome === "success").length,
      30,
    );
  },
);

t.test(
  "an account attacked from everywhere: its owner's browser still gets in, and Odoo never sees the cookie",
  async (t) => {
    const gateway = await startTestGateway({ env: proxied });
    t.teardown(() => gateway.close());
    const logIn = async (password: string, from: string, cookie = "") => {
      const page = await h1(gateway, "GET /web/login", [`X-Forwarded-For: ${from}`]);
      const token = tokenOf(page.body);
      const lines = [
        "Content-Type: application/x-www-form-urlencoded",
        `X-Forwarded-For: ${from}`,
        `Cookie: ${sessionPair(page)}${cookie}`,
      ];
      return h1(
        gateway,
        "POST /web/login",
        lines,
        new URLSearchParams({ csrf_token: token, login: "demo", password }).toString(),
      );
    };
    const first = await logIn("demo", "203.0.113.1");
    const device =
      valuesOf(first, "set-cookie")
        .find((line) => line.startsWith("__Host-device="))
        ?.split(";")[0] ?? "";
    t.not(device, "");
    for (let i = 0; i < 20; i += 1) await guess(gateway, "demo", "x", `198.51.100.${i}`);
    await guess(gateway, "demo", "x", "198.51.100.90");
    const waits = await guess(gateway, "demo", "demo", "198.51.100.91");
    t.equal(waits.status, 429, "a stranger waits");
    t.match(waits.body, /Many wrong passwords are being tried for this account.*try again in \d+ seconds/);
    t.equal((await guess(gateway, "admin", "admin", "198.51.100.92")).status, 200, "others do not");
    t.equal((await logIn("demo", "192.0.2.50", `; ${device}`)).status, 303, "the owner from a new address");
    t.equal(
      gateway.demo.requests.filter((request) => JSON.stringify(request).includes("__Host-device")).length,
      0,
    );
  },
);

t.test("scanner traps strike; trusted networks are never banned; BAN_ANSWER=drop closes", async (t) => {
  const gateway = await startTestGateway({ env: { BAN_ANSWER: "drop" } });
  t.teardown(() => gateway.close());
  const traps = ["/.env", "/wp-login.php", "/.git/config", "/phpinfo.php", "/.aws/credentials"];
  for (let i = 0; i < 20; i += 1) t.equal((await h1(gateway, `GET ${traps[i % 5]}`)).status, 404);
  await t.rejects(h1(gateway, "GET /"), "not even a handshake");
  const behindProxy = await startTestGateway({ env: { BAN_ANSWER: "drop", ...proxied } });
  t.teardown(() => behindProxy.close());
  for (let i = 0; i < 20; i += 1) await h1(behindProxy, "GET /.env", ["X-Forwarded-For: 203.0.113.9"]);
  t.equal((await h1(behindProxy, "GET /", ["X-Forwarded-For: 203.0.113.9"])).bytes.length, 0);
  t.equal(
    (await h1(behindProxy, "GET /", ["X-Forwarded-For: 203.0.113.10"])).status,
    200,
    "others behind the proxy",
  );
  const trusted = await startTestGateway({ env: { TRUSTED_NETWORKS: "127.0.0.1" } });
  t.teardown(() => trusted.close());
  for (let i = 0; i < 8; i += 1) await guess(trusted, "admin", `g${i}`);
  for (let i = 0; i < 25; i += 1) await h1(trusted, "GET /.env");
  t.match((await guess(trusted, "admin", "admin")).body, /"uid": 2/);
});

t.test("who hangs up before the answer's end is counted, and a huge body is no way round", async (t) => {
  const gateway = await startTestGateway({ env: withWideLogin(t.testdir()) });
  t.teardown(() => gateway.close());
  const pad = "x".repeat(200_000);
  for (let i = 0; i < 20; i += 1) {
    const body = JSON.stringify({ params: { pad, db: "prod", login: "admin", password: `g${i}` } });
    await h1(gateway, "POST /web/session/authenticate", [json], body, { until: "AccessDenied" });
  }
  await until(() => gateway.events.some((event) => event.type === "ban"));
  t.match(
    gateway.events.find((event) => event.type === "ban"),
    { why: "pair" },
    "the name is not read: all such are one",
  );
});

t.test("a restart forgets no ban", async (t) => {
  const stateDir = t.testdir();
  const first = await startTestGateway({ env: { STATE_DIR: stateDir } });
  for (let i = 0; i < 5; i += 1) await guess(first, "admin", `g${i}`);
  t.equal((await h1(first, "GET /")).status, 403);
  await first.close();
  const second = await startTestGateway({ env: { STATE_DIR: stateDir } });
  t.teardown(() => second.close());
  t.equal((await h1(second, "GET /")).status, 403);
});
