import t from "tap";
import { startTestGateway } from "../support/gateway.ts";
import { h1 } from "./clients.ts";

const bounds = { SPOOL_MAX: "4MiB", BODY_MAX: "1MiB" };
const restore = "POST /web/database/restore";
const type = "Content-Type: application/octet-stream";

t.test(
  "an administrator's restore may take all of the spool, and what never fits is said at once",
  async (t) => {
    const gateway = await startTestGateway({ env: { ...bounds, ADMIN_NETWORKS: "127.0.0.1" } });
    t.teardown(() => gateway.close());
    t.equal((await h1(gateway, restore, [type], "x".repeat(3_000_000))).status, 200);
    const before = gateway.demo.requests.length;
    const declared = await h1(gateway, restore, [type, "Content-Length: 5000000"]);
    t.equal(declared.status, 413, "before a byte of it, and not a 503 that asks to try again");
    t.equal(gateway.records().at(-1)?.bytesIn, 0);
    t.equal(gateway.demo.requests.length, before);
  },
);

t.test("BODY_MAX that a reload raises holds above a quarter of the spool, too", async (t) => {
  const options = { env: { ...bounds } };
  const gateway = await startTestGateway(options);
  t.teardown(() => gateway.close());
  const form = ["Content-Type: application/x-www-form-urlencoded"];
  const body = `a=${"x".repeat(2_000_000)}`;
  t.equal((await h1(gateway, "POST /demo/echo", form, body)).status, 413);
  options.env.BODY_MAX = "3MiB";
  t.same(await gateway.running.reload(), []);
  t.equal((await h1(gateway, "POST /demo/echo", form, body)).status, 200);
});
