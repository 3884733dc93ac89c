import { constants } from "node:http2";
import t from "tap";
import { createLog } from "../../src/observe/log-pino.ts";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, h2, hostOf, openHttp2, openTls, recordOf, requestText, until } from "./clients.ts";

t.test(
  "an HTTP/2 request with a body is recorded as what the client got, and 499 only when it left",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const session = await openHttp2(gateway);
    t.teardown(() => session.destroy());

    const whole = await h2(session, gateway, { ":method": "POST", ":path": "/demo/echo?record=1" }, "hello");
    t.equal(whole.status, 200);
    t.equal(whole.rstCode, constants.NGHTTP2_NO_ERROR);
    t.equal((await recordOf(gateway, "/demo/echo?record=1")).status, 200);

    // Resetting without an error code is how a client leaves politely: the rest of the answer was not taken all the same.
    const target = "/demo/big?bytes=8000000";
    const leaving = session.request({
      ":authority": hostOf(gateway),
      ":scheme": "https",
      ":method": "POST",
      ":path": target,
    });
    leaving.on("error", () => {});
    leaving.once("response", () => leaving.close(constants.NGHTTP2_NO_ERROR));
    leaving.end("hello");
    t.equal((await recordOf(gateway, target)).status, 499);
  },
);

t.test(
  "a request that is refused unread is recorded with its method and host, and without a password",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const asked = async (lines: string) => {
      const answer = await rawTalk(0, `${lines}Connection: close\r\n\r\n`, {
        socket: await openTls(gateway),
      });
      const { method, host, status } = gateway.records().at(-1) ?? {};
      t.equal(answer.status, status);
      return `${method} ${host} ${status}`;
    };
    t.equal(
      await asked("POST /x HTTP/1.1\r\nHost: other.example\r\nContent-Length: 0\r\n"),
      "POST other.example 421",
    );
    t.equal(await asked(`TRACE /x HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\n`), `TRACE ${hostOf(gateway)} 405`);
    t.equal(await asked("GET /x HTTP/1.1\r\nHost: user:password@odoo.test\r\n"), "GET - 400");
    t.equal(await asked("G!T /x HTTP/1.1\r\nHost: odoo.test\r\n"), "- odoo.test 501");
  },
);

t.test("bytes that were set aside for a slow client and never sent are not counted as sent", async (t) => {
  const bytes = 32 * 1024 * 1024;
  let given = false;
  const web = await startScripted((socket) => {
    socket.write(`HTTP/1.0 200 OK\r\nContent-Type: application/pdf\r\nContent-Length: ${bytes}\r\n\r\n`);
    socket.end(Buffer.alloc(bytes, "x"), () => {
      given = true;
    });
  });
  const gateway = await startTestGateway({ upstream: { webPort: web.port, busPort: web.port } });
  t.teardown(async () => {
    await gateway.close();
    await web.close();
  });
  const socket = await openTls(gateway);
  socket.pause().write(requestText(gateway, "GET /large"));
  await until(() => given);
  socket.destroy();
  const { status, bytesOut } = await recordOf(gateway, "/large");
  t.equal(status, 499);
  // What lies in the system's buffers was sent.
  t.ok(bytesOut < bytes / 2, `${bytesOut}`);
});

t.test("an answer of ours to HEAD has no body in its record, as it has none on the line", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  await h1(gateway, "HEAD /.env");
  t.match(await recordOf(gateway, "/.env"), { method: "HEAD", status: 404, bytesOut: 0 });
});

t.test("what came of a body that was refused is counted", async (t) => {
  const gateway = await startTestGateway({ env: { BODY_MAX: "1MiB" } });
  t.teardown(() => gateway.close());
  const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;
  const answer = await rawTalk(
    0,
    `POST /counted HTTP/1.1\r\nHost: ${hostOf(gateway)}\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(80)}`,
    { socket: await openTls(gateway) },
  );
  t.equal(answer.status, 413);
  const { bytesIn } = await recordOf(gateway, "/counted");
  t.ok(bytesIn > 1024 * 1024 && bytesIn <= 80 * 0x4000, `${bytesIn}`);
});

t.test(
  "an HTTP/2 body of another length than it declares is recorded, also when it comes with its head",
  async (t) => {
    const gateway = await startTestGateway();
    t.teardown(() => gateway.close());
    const session = await openHttp2(gateway);
    t.teardown(() => session.destroy());
    const stream = session.request({
      ":authority": hostOf(gateway),
      ":method": "POST",
      ":path": "/demo/echo",
      "content-length": "2",
    });
    stream.on("error", () => {});
    stream.end("hello");
    const event = await gateway.event(({ type }) => type === "access");
    t.match(event, { status: 400, rule: "message-malformed", protocol: "HTTP/2" });
  },
);

t.test("a link that lets in whoever has it is in no line of the log, in either format", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const uuid = "3f2b8c1e-9a4d-4e57-b6f0-1c2d3e4f5a6b";
  const shown = ["/survey/start/***", "/fr/calendar/join_videocall/***?x=1", "/chat/12/***", "/.git/***"];
  const asked = [
    `/survey/start/${uuid}`,
    `/fr/calendar/join_videocall/${uuid.replaceAll("-", "")}?x=1`,
    "/chat/12/aBcDeFgHiJ",
    `/.git/${uuid}`,
  ];
  for (const target of asked) await h1(gateway, `GET ${target}`);
  for (const target of shown) t.ok(await recordOf(gateway, target), target);
  t.match(await gateway.event((one) => one.type === "denied"), { target: "/.git/***" });
  for (const format of ["json", "text"] as const) {
    let lines = "";
    const destination = {
      write: (line: string) => {
        lines += line;
      },
    };
    const log = createLog({ level: "debug", format, destination });
    for (const event of gateway.events) log.emit(event);
    for (const target of shown) t.ok(lines.includes(target), `${format} ${target}`);
    t.notMatch(lines, /3f2b8c1e|aBcDeFgHiJ/);
  }
});

t.test("with LOG_ADDRESSES=network access lines do not say who it was, and security lines do", async (t) => {
  const gateway = await startTestGateway({
    env: { LOG_ADDRESSES: "network", TRUSTED_PROXIES: "127.0.0.9" },
  });
  t.teardown(() => gateway.close());
  const lines = ["X-Forwarded-For: 2001:db8:1:2::7"];
  const socket = await openTls(gateway, "127.0.0.9");
  await h1(gateway, "GET /.env", lines, "", { socket });
  t.match(await recordOf(gateway, "/.env"), { client: "2001:db8:1::/48", peer: "127.0.0.0/24" });
  t.match(await gateway.event((event) => event.type === "denied"), { client: "2001:db8:1:2::7" });
  t.match(await gateway.event((event) => event.type === "strike"), { client: "2001:db8:1:2::7" });
  await rawTalk(0, "GET\r\n\r\n", { socket: await openTls(gateway) });
  t.match(gateway.records().at(-1), { status: 400, client: "127.0.0.0/24", peer: "127.0.0.0/24" });
  t.match(await gateway.event((event) => event.type === "refused"), { client: "127.0.0.1" });
});
