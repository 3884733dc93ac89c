import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { echoOf, h1, openTls, seen } from "./clients.ts";

const gateway = await startTestGateway({
  env: {
    TRUSTED_PROXIES: "cloudflare 127.0.0.9",
    TRUSTED_NETWORKS: "127.0.0.7",
    ADMIN_NETWORKS: "127.0.0.8",
    REQUIRE_TRUSTED_PROXY: "yes",
  },
});

t.test("who goes around the proxy sees no certificate, and the log says who it was", async (t) => {
  await t.rejects(openTls(gateway, "127.0.0.5"));
  const plain = connect({ port: gateway.httpPort, host: "127.0.0.1", localAddress: "127.0.0.5" });
  plain.on("error", () => {});
  const chunks: Buffer[] = [];
  plain.on("data", (chunk) => chunks.push(chunk));
  plain.end("GET / HTTP/1.1\r\nHost: odoo.test\r\n\r\n");
  await once(plain, "close");
  t.same(chunks, []);
  const warning = await gateway.event((event) => event.type === "warning");
  t.match(warning, { what: "REQUIRE_TRUSTED_PROXY", detail: /^127\.0\.0\.5 connected and is none of/ });
  t.same(gateway.records(), []);
});

t.test(
  "the proxy is let in and believed, and so are trusted and administrators' networks and this machine",
  async (t) => {
    const echo = async (from: string) => {
      const socket = await openTls(gateway, from);
      const { status, body } = await h1(gateway, "GET /demo/echo", ["X-Forwarded-For: 203.0.113.7"], "", {
        socket,
      });
      return [status, ...seen(echoOf(body), "x-forwarded-for")];
    };
    t.same(await echo("127.0.0.9"), [200, "203.0.113.7"]);
    for (const from of ["127.0.0.7", "127.0.0.8", "127.0.0.1"]) t.same(await echo(from), [200, from]);
  },
);

t.teardown(() => gateway.close());
