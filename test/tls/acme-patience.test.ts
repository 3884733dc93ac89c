import { readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { type ManualClock, manualClock } from "../../src/base/clock.ts";
import { directoryFor } from "../../src/tls/issuer-attempt.ts";
import { fresh, outcome } from "../support/acme-pair.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startLyingAuthority } from "../support/lying-authority.ts";
import { says, startScene } from "../support/lying-scene.ts";

const dayMs = 86_400_000;

for (const [path, status] of [
  ["/dir", 503],
  ["/nonce", 429],
] as const) {
  t.test(`${status} for ${path} with a time to wait is kept to`, async (t) => {
    const { clock, gateway } = await startScene(
      t,
      says(path, (response) => {
        response.removeHeader("Replay-Nonce");
        response.writeHead(status, { "Retry-After": "7200" }).end();
      }),
    );
    t.match(await outcome(gateway), { type: "certificate-failed", detail: new RegExp(`answered ${status}`) });
    t.equal(gateway.running.issuer.status?.nextTryMs, clock.wallMs() + 7_200_000);
  });
}

for (const wait of ["999999999", "Fri, 31 Dec 9999 23:59:59 GMT"]) {
  t.test(`a wait of "${wait}" is a week, and not none at all`, async (t) => {
    const { clock, gateway, authority } = await startScene(
      t,
      says("/order", (response) => {
        const type = "urn:ietf:params:acme:error:rateLimited";
        response.writeHead(429, { "Retry-After": wait }).end(JSON.stringify({ type, detail: "too many" }));
      }),
    );
    t.match(await outcome(gateway), { type: "certificate-failed", detail: /too many/ });
    const orders = () => authority.asked.filter((one) => one === "/order").length;
    clock.advance(6.9 * dayMs);
    await gateway.running.issuer.look();
    t.equal(orders(), 1);
    clock.advance(0.2 * dayMs);
    await gateway.running.issuer.look();
    t.equal(orders(), 2);
  });
}

t.test("an order that is on its way outlasts an authority that has no answer just now", async (t) => {
  const { clock, gateway, authority } = await startScene(
    t,
    says("/certificate/1", (response) => void response.writeHead(503).end()),
  );
  t.match(await outcome(gateway), { type: "certificate-failed", detail: /answered 503/ });
  authority.lies.clear();
  authority.lies.set("/order/1", (response) => {
    response.writeHead(503).end();
    return true;
  });
  clock.advance(dayMs);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-failed" });
  authority.lies.clear();
  clock.advance(dayMs);
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 2), { type: "certificate-ordered" });
  t.equal(authority.asked.filter((path) => path === "/order").length, 1, "no second order");
});

const inDays = (clock: ManualClock, days: number) => new Date(clock.wallMs() + days * dayMs).toISOString();

t.test("a renewal window that is always over has no certificate ordered at each look", async (t) => {
  const { clock, gateway, authority } = await startScene(t, (authority) => {
    authority.ari = { start: "1970-01-01T00:00:00Z", end: "1971-01-01T00:00:00Z", retryAfter: "60" };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  const orders = () => authority.asked.filter((one) => one === "/order").length;
  for (let looks = 0; looks < 5; looks += 1) {
    clock.advance(60_000);
    await gateway.running.issuer.look();
  }
  t.equal(orders(), 1);
  clock.advance(6 * 3_600_000);
  await gateway.running.issuer.look();
  t.equal(orders(), 2, "asked again, and it still wants it: done");
  await gateway.running.issuer.look();
  t.equal(orders(), 2);
});

for (const [what, from, to] of [
  ["behind its end", 200, 201],
  ["of its last minutes", 89.99, 89.999],
] as const) {
  t.test(`a renewal window ${what} lets no certificate run out`, async (t) => {
    const { clock, gateway } = await startScene(t, (authority) => {
      const start = new Date(Date.now() + from * dayMs).toISOString();
      authority.ari = { start, end: new Date(Date.now() + to * dayMs).toISOString() };
    });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    const days = ((gateway.running.issuer.status?.renewAtMs ?? 0) - clock.wallMs()) / dayMs;
    t.ok(days > 50 && days < 84, `in ${days} days`);
  });
}

t.test("a certificate whose life is mostly over when it comes is not ordered again at once", async (t) => {
  const { clock, gateway, authority } = await startScene(t, (authority) => {
    authority.issued = { fromMs: Date.now() - 60 * dayMs, untilMs: Date.now() + 20 * dayMs };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  clock.advance(60_000);
  await gateway.running.issuer.look();
  t.equal(authority.asked.filter((one) => one === "/order").length, 1);
});

t.test("a date that was ahead for a while does not keep the authority from being asked", async (t) => {
  const { clock, gateway, authority } = await startScene(t, (authority) => {
    authority.ari = {
      start: new Date(Date.now() + 60 * dayMs).toISOString(),
      end: new Date(Date.now() + 61 * dayMs).toISOString(),
    };
  });
  t.match(await outcome(gateway), { type: "certificate-ordered" });
  const asked = () => authority.asked.filter((one) => one === "/ari").length;
  clock.advance(30 * dayMs);
  await gateway.running.issuer.look();
  t.equal(asked(), 2);
  clock.advance(-30 * dayMs);
  authority.ari = { start: inDays(clock, -2), end: inDays(clock, -1) };
  await gateway.running.issuer.look();
  t.match(await outcome(gateway, 1), { type: "certificate-renewed" });
});

t.test(
  "an authority that wants to be left alone for days does not keep the other from being asked",
  async (t) => {
    const clock = manualClock(Date.now());
    const first = await startLyingAuthority(t, () => clock.wallMs());
    const second = await startLyingAuthority(t, () => clock.wallMs());
    first.lies.set("/order", (response) => {
      const type = "urn:ietf:params:acme:error:rateLimited";
      response.writeHead(429, { "Retry-After": "500000" }).end(JSON.stringify({ type, detail: "too many" }));
      return true;
    });
    second.lies.set("/order", (response) => {
      response.writeHead(503).end();
      return true;
    });
    const caFile = fresh(".pem");
    writeFileSync(caFile, readFileSync(first.caFile, "utf8") + readFileSync(second.caFile, "utf8"));
    const env = {
      ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: caFile },
      ...{ ACME_DIRECTORY: first.directoryUrl, ACME_FALLBACK_DIRECTORY: second.directoryUrl },
    };
    const gateway = await startTestGateway({ clock, env });
    t.teardown(() => gateway.close());
    t.match(await outcome(gateway), { type: "certificate-failed", directory: first.directoryUrl });
    const inMs = () => (gateway.running.issuer.status?.nextTryMs ?? 0) - clock.wallMs();
    t.ok(inMs() < 120_000, "the other one in a minute");
    await gateway.close();

    const again = await startTestGateway({ clock, env });
    t.teardown(() => again.close());
    clock.advance(120_000);
    await again.running.issuer.look();
    t.match(await outcome(again), { type: "certificate-failed", directory: second.directoryUrl });
    second.lies.clear();
    clock.advance(240_000);
    await again.running.issuer.look();
    t.match(await outcome(again, 1), { type: "certificate-ordered", directory: second.directoryUrl });
    t.equal(first.asked.filter((path) => path === "/order").length, 1, "left alone, over the restart too");
  },
);

t.test(
  "a certificate that is renewed early by one of a shorter life is replaced by it, and ordered once",
  async (t) => {
    const clock = manualClock(Date.now());
    const first = await startLyingAuthority(t, () => clock.wallMs());
    const second = await startLyingAuthority(t, () => clock.wallMs());
    first.lies.set("/order", (response) => {
      const type = "urn:ietf:params:acme:error:rateLimited";
      response.writeHead(429, { "Retry-After": "7200" }).end(JSON.stringify({ type, detail: "too many" }));
      return true;
    });
    const caFile = fresh(".pem");
    writeFileSync(caFile, readFileSync(first.caFile, "utf8") + readFileSync(second.caFile, "utf8"));
    const env = {
      ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: caFile },
      ...{ ACME_DIRECTORY: first.directoryUrl, ACME_FALLBACK_DIRECTORY: second.directoryUrl },
    };
    const gateway = await startTestGateway({ clock, env });
    t.teardown(() => gateway.close());
    t.match(await outcome(gateway), { type: "certificate-failed", directory: first.directoryUrl });
    clock.advance(120_000);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 1), { type: "certificate-ordered", directory: second.directoryUrl });
    first.lies.clear();
    first.issued = { untilMs: clock.wallMs() + 10 * dayMs };
    second.ari = { start: inDays(clock, -2), end: inDays(clock, -1) };
    clock.advance(dayMs);
    await gateway.running.issuer.look();
    t.match(await outcome(gateway, 2), { type: "certificate-renewed", directory: first.directoryUrl });
    const orders = first.asked.filter((path) => path === "/order").length;
    for (let looks = 0; looks < 5; looks += 1) {
      clock.advance(60_000);
      await gateway.running.issuer.look();
    }
    t.equal(first.asked.filter((path) => path === "/order").length, orders);
    const [shown] = gateway.running.tls().certificates;
    t.ok((shown?.notAfterMs ?? 0) < clock.wallMs() + 11 * dayMs, "the new one is shown");
  },
);

t.test(
  "which directory is asked: the first, then in turns, and never one that is to be left alone for long",
  async (t) => {
    const [directory, fallbackDirectory] = ["https://one.test/", "https://two.test/"];
    const hours = (first: number, second: number) => ({
      [directory]: first * 3_600_000,
      [fallbackDirectory]: second * 3_600_000,
    });
    const asked = (failures: number, holds = {}) =>
      directoryFor({ directory, fallbackDirectory }, failures, holds, 0);
    t.same(
      [0, 1, 2, 3, 4, 5].map((failures) => asked(failures)),
      [...[directory, directory, directory, fallbackDirectory, directory, fallbackDirectory]],
    );
    t.equal(asked(1, hours(2, 0)), fallbackDirectory);
    t.equal(asked(1, hours(0.5, 0)), directory, "a short wait is waited for");
    t.equal(asked(3, hours(0, 2)), directory);
    t.equal(asked(3, hours(4, 2)), fallbackDirectory, "both: the shorter");
    t.equal(asked(3, hours(2, 4)), directory);
    t.equal(asked(0, hours(24 * 400, 0)), directory, "written by a clock that was wrong");
    t.equal(directoryFor({ directory, fallbackDirectory: null }, 5, hours(9, 0), 0), directory);
  },
);

t.test(
  "an authority that has forgotten us is registered with anew, also when the mail address changed",
  async (t) => {
    const clock = manualClock(Date.now());
    const authority = await startLyingAuthority(t, () => clock.wallMs());
    const env = {
      ...{ TLS_MODE: "acme", CERTS_DIR: fresh("certs"), ACME_CA_FILE: authority.caFile },
      ...{ ACME_DIRECTORY: authority.directoryUrl, ACME_EMAIL: "it@odoo.test" },
    };
    const gateway = await startTestGateway({ clock, env });
    t.match(await outcome(gateway), { type: "certificate-ordered" });
    await gateway.close();
    authority.lies.set("/account/1", (response) => {
      const type = "urn:ietf:params:acme:error:accountDoesNotExist";
      response.writeHead(400).end(JSON.stringify({ type, detail: "never heard of you" }));
      return true;
    });
    clock.advance(70 * dayMs);
    const again = await startTestGateway({ clock, env: { ...env, ACME_EMAIL: "other@odoo.test" } });
    t.teardown(() => again.close());
    t.match(await outcome(again), { type: "certificate-renewed" });
    t.equal(authority.asked.filter((path) => path === "/account").length, 2);
  },
);
