import t from "tap";
import type { Clock } from "../../src/base/clock.ts";
import { h1, opened, until, webSocket } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";

/** A machine whose date can be set wrong: durations go on as they are, as on every system. */
function wrongDate(): Clock & { set(jumpMs: number): void } {
  let jumpMs = 0;
  return {
    nowMs: () => performance.now(),
    wallMs: () => Date.now() + jumpMs,
    set: (ms) => {
      jumpMs = ms;
    },
  };
}

const dayMs = 86_400_000;

t.test("a date that jumps ahead and back loses no ban, cuts nobody and stops nothing", async (t) => {
  const clock = wrongDate();
  const gateway = await startTestGateway({ clock, env: { TRUSTED_PROXIES: "127.0.0.1" } });
  t.teardown(() => gateway.close());
  const admin = (start: string) =>
    rawTalk(
      gateway.adminPort,
      `${start} HTTP/1.1\r\nHost: localhost\r\nX-Odoo-Gateway: bans\r\nConnection: close\r\n\r\n`,
    );
  t.equal((await admin("POST /bans?address=192.0.2.66&for=24h")).status, 200);
  const banned = ["X-Forwarded-For: 192.0.2.66"];
  const socket = await opened(webSocket(gateway));
  t.teardown(() => socket.terminate());
  const slow = h1(gateway, "GET /demo/slow?ms=600");
  await until(() => gateway.running.gateway.exchanges === 2);

  clock.set(60 * dayMs);
  t.equal((await h1(gateway, "GET /web/login")).status, 200, "60 days ahead");
  t.equal((await h1(gateway, "GET /web/login", banned)).status, 200, "its day has passed, says the clock");
  // The local certificate is renewed, and begins after everybody else's today.
  await gateway.running.lookAtCertificates();
  t.ok((gateway.running.tls().certificates[0]?.notBeforeMs ?? 0) > Date.now());
  clock.set(0);
  await gateway.running.lookAtCertificates();
  t.equal(
    (await h1(gateway, "GET /web/login")).status,
    200,
    "a minute after the date is right, browsers take it",
  );
  clock.set(-30 * dayMs);
  await gateway.running.lookAtCertificates();
  t.equal((await h1(gateway, "GET /web/login")).status, 200, "30 days back");
  const [problem] = await gateway.running.reload();
  t.match(problem, { thing: /is not valid before/, remedy: /set the machine's clock/ });
  t.equal((await h1(gateway, "GET /web/login")).status, 200, "a reload keeps what is loaded");
  clock.set(0);
  t.equal((await h1(gateway, "GET /web/login", banned)).status, 403, "the right time again: the ban holds");
  t.equal((await slow).status, 200, "what was under way came to its end");
  t.equal(socket.readyState, socket.OPEN);
  const record = gateway.records().find((one) => one.target === "/demo/slow?ms=600");
  t.ok((record?.totalMs ?? -1) > 0 && (record?.totalMs ?? 0) < dayMs / 2, "durations do not jump");
  t.notOk(gateway.events.some((event) => event.type === "error"));
});
