import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { startTestGateway } from "../support/gateway.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, recordOf } from "./clients.ts";

const password = `Authorization: Basic ${Buffer.from("team:correct horse").toString("base64")}`;
const staging = {
  PRESET: "staging",
  STAGING_USER: "team",
  STAGING_PASSWORD: "correct horse",
  STAGING_NEUTRALIZED: "yes",
  TRUSTED_PROXIES: "127.0.0.1",
  ADMIN_NETWORKS: "192.0.2.0/24",
};

t.test(
  "a copy that is not neutralised shows nothing and takes no webhook, and opens once it is",
  async (t) => {
    let page = "<html><body>Log in</body></html>";
    const asked: string[] = [];
    const odoo = await startScripted((socket, received) => {
      const head = received.toString("latin1");
      asked.push(head);
      const body = head.startsWith("GET /web/login ") ? page : "yes";
      socket.end(
        `HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
    });
    const clock = manualClock(Date.now());
    const gateway = await startTestGateway({
      upstream: { webPort: odoo.port, busPort: odoo.port },
      env: staging,
      clock,
    });
    t.teardown(async () => {
      await gateway.close();
      await odoo.close();
    });
    const stranger = await h1(gateway, "GET /shop");
    t.equal(stranger.status, 401);
    t.same(asked, [], "who has no password makes nobody ask");

    const closed = await h1(gateway, "GET /shop?closed", [password, "Cookie: staging_session_id=abc"]);
    t.equal(closed.status, 503);
    t.match(closed.body, /not neutralised/);
    t.equal(
      (await h1(gateway, "POST /payment/stripe/webhook", ["Content-Type: application/json"], "{}")).status,
      503,
    );
    t.equal(asked.length, 1, "one question, and nothing else reached Odoo");
    t.notMatch(asked[0], /cookie|authorization/i);
    t.match(asked[0], /^Host: odoo\.test/im);
    t.match(await recordOf(gateway, "/shop?closed"), { rule: "staging-neutralized", verdict: "refuse" });
    t.match(await gateway.event((event) => event.type === "warning"), {
      what: "STAGING_NEUTRALIZED",
      detail: /odoo-bin neutralize/,
    });
    const admin = await h1(gateway, "GET /shop", [password, "X-Forwarded-For: 192.0.2.7"]);
    t.equal(admin.body, "yes", "an administrator gets in to neutralise it");

    page = '<html><body><span id="oe_neutralize_banner">Database neutralized</span></body></html>';
    t.equal((await h1(gateway, "GET /shop", [password])).status, 503);
    clock.advance(5_001);
    t.equal((await h1(gateway, "GET /shop", [password])).body, "yes");
    t.equal(
      (await h1(gateway, "POST /payment/stripe/webhook", ["Content-Type: application/json"], "{}")).status,
      200,
    );
    page = "<html><body>Production, restored over it</body></html>";
    clock.advance(60_001);
    t.equal((await h1(gateway, "GET /shop", [password])).status, 503);
  },
);

t.test("an Odoo that cannot say keeps the copy closed, and is asked again", async (t) => {
  let status = "500 INTERNAL SERVER ERROR";
  const odoo = await startScripted((socket) => {
    const body = '<span id="oe_neutralize_banner">';
    socket.end(
      `HTTP/1.0 ${status}\r\nContent-Type: text/html\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
  });
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: odoo.port },
    env: staging,
  });
  t.teardown(async () => {
    await gateway.close();
    await odoo.close();
  });
  const away = await h1(gateway, "GET /shop", [password]);
  t.equal(away.status, 503);
  t.same(valuesOf(away, "retry-after"), ["5"]);
  status = "200 OK";
  t.equal((await h1(gateway, "GET /shop", [password])).status, 200);
});
