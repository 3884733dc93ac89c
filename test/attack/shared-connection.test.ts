import { connect } from "node:http2";
import t from "tap";
import { echoOf, hostOf, openTls, seen } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";

t.test("one visitor is taken for another who came by the same connection of a balancer", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.0/8" } });
  t.teardown(() => gateway.close());
  const visitors = [
    ["198.51.100.1", "a".repeat(84)],
    ["198.51.100.1", "b".repeat(84)],
    ["198.51.100.2", "a".repeat(84)],
  ] as const;
  const asked: { client: string; session: string; body: string }[] = [];
  // Each twice in a row and with bodies of different lengths: what is remembered of equal fields is put to use.
  for (let round = 0; round < 4; round += 1) {
    for (const [client, session] of visitors) {
      for (const body of ["x", "x".repeat(10 + round)]) asked.push({ client, session, body });
    }
  }
  const requests = asked.map(({ client, session, body }, i) =>
    [
      "POST /demo/echo HTTP/1.1",
      `Host: ${hostOf(gateway)}`,
      `X-Forwarded-For: ${client}`,
      `Content-Length: ${body.length}`,
      `Cookie: session_id=${session}`,
      ...(i === asked.length - 1 ? ["Connection: close"] : []),
      "",
      body,
    ].join("\r\n"),
  );
  const { text } = await rawTalk(0, requests.join(""), { socket: await openTls(gateway) });
  const echoes = [...text.matchAll(/\r\n\r\n(\{[^\r]*\})/g)].map((match) => echoOf(match[1] ?? ""));
  t.equal(echoes.length, asked.length, "every request was answered");
  for (const [i, { client, session, body }] of asked.entries()) {
    const echo = echoes[i];
    if (echo === undefined) continue;
    t.equal(echo.client, client);
    t.same(seen(echo, "x-forwarded-for"), [client]);
    t.same(seen(echo, "cookie"), [`session_id=${session}`]);
    t.same(seen(echo, "content-length"), [String(body.length)]);
    t.equal(echo.body.length, body.length);
  }
  const ids = new Set(echoes.flatMap((echo) => seen(echo, "x-request-id")));
  t.equal(ids.size, asked.length, "and has an id of its own");
  t.same(
    gateway.records().map((record) => record.client),
    asked.map(({ client }) => client),
  );
});

t.test("the same over HTTP/2, where requests of one connection come together", async (t) => {
  const gateway = await startTestGateway({ env: { TRUSTED_PROXIES: "127.0.0.0/8" } });
  t.teardown(() => gateway.close());
  const session = connect(`https://127.0.0.1:${gateway.httpsPort}`, { rejectUnauthorized: false });
  t.teardown(() => session.destroy());
  const visitors = [
    ["198.51.100.1", "a".repeat(84)],
    ["198.51.100.1", "b".repeat(84)],
    ["198.51.100.2", "a".repeat(84)],
  ] as const;
  const ask = (client: string, cookie: string, body: string) =>
    new Promise<ReturnType<typeof echoOf>>((resolve, reject) => {
      const stream = session.request({
        ":method": "POST",
        ":path": "/demo/echo",
        ":authority": hostOf(gateway),
        "x-forwarded-for": client,
        "content-length": body.length,
        cookie,
      });
      let text = "";
      stream.setEncoding("utf8");
      stream.on("data", (piece: string) => {
        text += piece;
      });
      stream.on("error", reject);
      stream.on("end", () => resolve(echoOf(text)));
      stream.end(body);
    });
  const asked: Promise<void>[] = [];
  for (let round = 0; round < 4; round += 1) {
    for (const [client, session] of visitors) {
      for (const body of ["x", "x", "x".repeat(10 + round)]) {
        asked.push(
          ask(client, `session_id=${session}`, body).then((echo) => {
            t.equal(echo.client, client);
            t.same(seen(echo, "x-forwarded-for"), [client]);
            t.same(seen(echo, "cookie"), [`session_id=${session}`]);
            t.same(seen(echo, "content-length"), [String(body.length)]);
            t.equal(echo.body.length, body.length);
          }),
        );
      }
    }
  }
  await Promise.all(asked);
});
