import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { request } from "./corpus/case.ts";
import { nextClient, open } from "./corpus/run.ts";
import { block, endHeaders, endStream, frame, frameType, pseudo, RawHttp2 } from "./frames.ts";

const guess = JSON.stringify({ params: { db: "prod", login: "admin", password: "wrong" } });

/** Five failures are a ban; without bans it were six, the first and the burst of five behind it. */
const attemptsMax = 5;

/** One guess in one disguise; each must count for the same client. */
function disguise(start: string, lines: readonly string[] = []): string {
  return request(
    start,
    ["Content-Type: application/json", "Connection: close", `Content-Length: ${guess.length}`, ...lines],
    guess,
  );
}

t.test("no disguise of a guess gets past the limit of log-ins", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const client = nextClient();
  const guesses = [
    "POST /web/session/authenticate",
    "POST /web/session/authenticate/",
    "POST /fr/web/session/authenticate",
    "POST /web/session/authenticate?x=1",
    "POST /web//session/authenticate",
    "POST /%77eb/session/authenticate",
    "PUT /web/session/authenticate",
    "POST /web/login",
    "POST /web/login/",
    "POST /en/web/login",
    "POST /base_import_module/login_upload",
    "POST /web/login/totp",
  ];
  const addresses = [
    "X-Forwarded-For: 6.6.6.6",
    "X-Real-IP: 7.7.7.7",
    "Forwarded: for=8.8.8.8",
    "Cookie: session_id=x",
  ];
  const statuses: number[] = [];
  for (const [i, start] of guesses.entries()) {
    const answer = await rawTalk(gateway.httpsPort, disguise(start, [addresses[i % 4] ?? ""]), {
      socket: open(gateway, client),
    });
    statuses.push(answer.status);
  }
  t.equal(
    statuses.filter((status) => status === 200).length,
    attemptsMax,
    `five got through: ${statuses.join(" ")}`,
  );
  const reached = attemptsMax + statuses.filter((status) => status === 308).length;
  t.equal(gateway.demo.requests.length, reached, "and what Odoo answers with another address");
  const raw = new RawHttp2(gateway.httpsPort, client);
  raw.send(
    frame(
      frameType.headers,
      endHeaders,
      1,
      block([...pseudo("/web/session/authenticate", "POST"), ["content-type", "application/json"]]),
    ),
    frame(frameType.data, endStream, 1, Buffer.from(guess)),
  );
  await raw.outcome();
  raw.socket.destroy();
  t.equal(gateway.records().at(-1)?.status, 403, "over HTTP/2 too");
  t.equal(gateway.demo.requests.length, reached);
});

t.test("the addresses of one IPv6 network are one client", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.0/8" } });
  t.teardown(() => gateway.close());
  const statuses: number[] = [];
  for (let i = 1; i <= 8; i += 1) {
    const from = `X-Forwarded-For: 2001:db8:1:2:${i}::${i}`;
    const answer = await rawTalk(gateway.httpsPort, disguise("POST /web/session/authenticate", [from]), {
      socket: open(gateway, nextClient()),
    });
    statuses.push(answer.status);
  }
  t.strictSame(statuses.slice(attemptsMax), [403, 403, 403], statuses.join(" "));
  const neighbour = await rawTalk(
    gateway.httpsPort,
    disguise("POST /web/session/authenticate", ["X-Forwarded-For: 2001:db8:1:3::1"]),
    { socket: open(gateway, nextClient()) },
  );
  t.equal(neighbour.status, 200, "the next network is another");
  const claimed = await rawTalk(
    gateway.httpsPort,
    disguise("POST /web/session/authenticate", ["X-Forwarded-For: 9.9.9.9, 2001:db8:1:2::1"]),
    { socket: open(gateway, nextClient()) },
  );
  t.equal(claimed.status, 403, "what a client wrote left of its address counts for nothing");
});
