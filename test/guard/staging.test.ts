import t from "tap";
import type { CanonicalPath, HostName } from "../../src/base/brands.ts";
import { manualClock } from "../../src/base/clock.ts";
import { parseIp } from "../../src/base/ip.ts";
import { createStagingGate } from "../../src/guard/staging.ts";
import type { RequestFacts } from "../../src/message/facts.ts";

function factsOf(path: string, fields: string[]): RequestFacts {
  const ip = parseIp("203.0.113.9");
  if (ip === null) throw new Error("address");
  const canonical = path as CanonicalPath;
  return {
    protocol: "HTTP/1.1",
    untrustedForwarding: null,
    method: "GET",
    target: path,
    path: canonical,
    paths: [canonical],
    pathsLower: [canonical],
    query: "",
    host: "staging.example.com" as HostName,
    authority: "staging.example.com",
    peer: ip,
    client: ip,
    secure: true,
    contentType: "",
    sessionId: null,
    upgrade: null,
    fields,
  };
}

const basic = (text: string) => ["Authorization", `Basic ${Buffer.from(text).toString("base64")}`];

/** Who counts for itself answers at once. */
function atOnce<T>(verdict: T | Promise<T>): T {
  if (verdict instanceof Promise) throw new Error("a verdict was waited for");
  return verdict;
}

function setUp() {
  const clock = manualClock();
  const gate = createStagingGate({
    user: "team",
    password: "paßwort: x",
    exempt: ({ path }) => path.startsWith("/payment/"),
    secret: Buffer.from("0123456789abcdef"),
    clock,
  });
  const check = (path: string, fields: string[], withoutPassword = false) =>
    atOnce(gate.check(factsOf(path, fields), "203.0.113.9", withoutPassword));
  return { clock, gate, check };
}

t.test("a stranger is asked, a colleague passes and takes a cookie along", (t) => {
  const { check, clock } = setUp();
  t.same(check("/", []), {
    kind: "ask",
    status: 401,
    fields: ["WWW-Authenticate", 'Basic realm="staging", charset="UTF-8"'],
    isGuess: false,
  });
  t.match(check("/", ["Authorization", "Bearer abc"]), { kind: "ask" });
  t.match(check("/", ["Authorization", "Basic !!!"]), { kind: "ask" });
  const pass = check("/", basic("team:paßwort: x"));
  if (pass.kind !== "pass" || pass.setCookie === null) throw new Error("should pass with a cookie");
  t.equal(pass.dropAuthorization, true, "the password is not Odoo's business");
  t.match(
    pass.setCookie,
    /^__Host-staging=\d+\.[\w-]{43}; Path=\/; Max-Age=43200; Secure; HttpOnly; SameSite=Lax$/,
  );
  const cookie = pass.setCookie.split(";", 1)[0] ?? "";
  t.same(check("/websocket", ["Cookie", `a=b; ${cookie}`]), {
    kind: "pass",
    setCookie: null,
    dropAuthorization: false,
  });
  t.match(check("/json/2/x", ["Cookie", cookie, "Authorization", "Bearer key"]), {
    dropAuthorization: false,
  });
  clock.advance(43_200_000 - 1000);
  t.match(check("/", ["Cookie", cookie]), { kind: "pass" });
  clock.advance(1_000);
  t.match(check("/", ["Cookie", cookie]), { kind: "ask" }, "after twelve hours");
  t.end();
});

t.test("a forged or prolonged cookie opens nothing", (t) => {
  const { check } = setUp();
  const pass = check("/", basic("team:paßwort: x"));
  if (pass.kind !== "pass" || pass.setCookie === null) throw new Error("should pass with a cookie");
  const [expiry = "", signature = ""] = (/=(\d+)\.([\w-]+)/.exec(pass.setCookie) ?? []).slice(1);
  for (const value of [
    `${Number(expiry) + 1}.${signature}`,
    `${expiry}.${signature.slice(1)}A`,
    `${expiry}.`,
    `.${signature}`,
    `${expiry}.${signature}x`,
    "",
  ]) {
    t.match(check("/", ["Cookie", `__Host-staging=${value}`]), { kind: "ask" }, value);
  }
  t.match(check("/", ["Cookie", `__host-staging=${expiry}.${signature}`]), { kind: "ask" });
  t.end();
});

t.test("six wrong passwords, then nobody from there is told right from wrong", (t) => {
  const { check, clock, gate } = setUp();
  for (let i = 0; i < 6; i += 1) t.match(check("/", basic(`team:wrong${i}`)), { kind: "ask" });
  t.match(check("/", basic("team:wrong")), { kind: "exhausted", status: 429 });
  t.match(check("/", basic("team:paßwort: x")), { kind: "exhausted" });
  t.match(check("/", []), { kind: "ask" }, "the question itself costs nothing");
  t.match(gate.check(factsOf("/", basic("team:paßwort: x")), "203.0.113.10", false), { kind: "pass" });
  clock.advance(13_000);
  for (let i = 0; i < 50; i += 1)
    t.match(check("/", basic("team:paßwort: x")), { kind: "pass" }, "right ones cost nothing");
  t.end();
});

t.test("a browser that repeats a password that was changed guesses once", (t) => {
  const { check } = setUp();
  t.match(check("/", []), { kind: "ask", isGuess: false }, "who sends none guesses nothing");
  t.match(check("/", basic("team:old")), { kind: "ask", isGuess: true });
  t.match(check("/logo", basic("team:old")), { kind: "ask", isGuess: false });
  t.match(check("/", basic("team:older")), { isGuess: true });
  t.match(check("/", basic("team:old")), { isGuess: true }, "two in turns are guesses");
  t.match(check("/", basic("team:paßwort: x")), { kind: "pass", afterGuess: true });
  t.notOk("afterGuess" in check("/", basic("team:paßwort: x")), "told once");
  t.match(check("/", basic("team:old")), { kind: "ask", isGuess: true });
  t.end();
});

t.test("webhooks are not asked and keep their own credentials", (t) => {
  const { check } = setUp();
  t.same(check("/payment/stripe", basic("hook:key")), {
    kind: "pass",
    setCookie: null,
    dropAuthorization: false,
  });
  t.match(check("/payment/stripe", basic("team:paßwort: x")), { kind: "pass", dropAuthorization: true });
  t.match(check("/anything", [], true), { kind: "pass" }, "a rule says so");
  t.end();
});
