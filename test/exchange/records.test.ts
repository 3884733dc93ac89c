import { constants } from "node:http2";
import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { rawTalk } from "../support/upstream-raw.ts";
import { h2, hostOf, openHttp2, openTls, recordOf } from "./clients.ts";

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
