import { once } from "node:events";
import { createServer } from "node:http";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { challengePath, createChallenges } from "../../src/tls/challenges.ts";
import { isContainerLayer, preflight } from "../../src/tls/preflight.ts";
import { freePorts } from "../support/ports.ts";

/** A plain listener; `answers` false: another program. */
async function listener(t: { teardown(work: () => unknown): unknown }, answers: boolean) {
  const challenges = createChallenges();
  const hosts: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    hosts.push(request.headers.host);
    const answer = answers ? challenges.httpAnswer(request.url ?? "") : null;
    response.statusCode = answer === null ? 404 : 200;
    response.end(answer ?? "a router's own page");
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  return { challenges, port, hosts, plain: { host: "", port } };
}

const lines = (hints: Parameters<typeof problemLine>[0][]) => hints.map(problemLine).join("\n");

t.test("a way that is open has nothing to tell", async (t) => {
  const { challenges, plain, port, hosts } = await listener(t, true);
  const seen = await preflight({
    names: ["erp.example.com", "*.example.com"],
    plain,
    challenges,
    publicPort: port,
    lookUp: async () => ["127.0.0.1"],
  });
  t.same(seen, { hints: [], plainIsClosed: false });
  t.same(hosts, ["erp.example.com", "erp.example.com"], "asked as the authority asks, and no wildcard");
  t.equal(challenges.httpAnswer(challengePath), null);
});

t.test("what stands in the way is named before an attempt is used up", async (t) => {
  const { challenges, plain, port } = await listener(t, true);
  const other = await listener(t, false);
  const [closed = 0] = await freePorts(1);
  const look = (publicPort: number, lookUp: () => Promise<string[]>) =>
    preflight({ names: ["erp.example.com"], plain, challenges, publicPort, lookUp });
  const elsewhere = await look(other.port, async () => ["127.0.0.1"]);
  t.match(
    lines([...elsewhere.hints]),
    /erp\.example\.com on 127\.0\.0\.1 port \d+ is not answered by this gateway \(status 404\)/,
  );
  t.equal(elsewhere.plainIsClosed, false, "a router may answer only from inside");
  const refused = await look(closed, async () => ["127.0.0.1"]);
  t.match(lines([...refused.hints]), /ECONNREFUSED/);
  t.equal(refused.plainIsClosed, true);
  const half = await look(port, async () => ["127.0.0.1", "::1"]);
  t.match(lines([...half.hints]), /on ::1 port/, "the other family is looked at too");
  t.equal(half.plainIsClosed, false);
  const none = await look(port, async () => []);
  t.match(lines([...none.hints]), /erp\.example\.com has no address as seen from here; set an A record/);
  const foreign = await preflight({
    names: ["a.example"],
    plain: other.plain,
    challenges,
    lookUp: async () => [],
  });
  t.match(
    lines([...foreign.hints]),
    /HTTP_LISTEN 127\.0\.0\.1:\d+ does not answer a challenge for a\.example \(status 404\)/,
  );
  t.equal(foreign.plainIsClosed, true);
  t.equal(
    (await preflight({ names: ["a.example"], plain: null, challenges, lookUp: async () => [] }))
      .plainIsClosed,
    true,
  );
});

t.test("a folder inside the container is told from a volume", async (t) => {
  const container = `22 21 0:21 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 0:22 / /proc rw - proc proc rw
24 22 8:1 /volumes/c /certs rw,relatime - ext4 /dev/sda1 rw
25 22 8:1 /x /my\\040certs rw - ext4 /dev/sda1 rw`;
  t.equal(isContainerLayer("/app/certs", container), true);
  t.equal(isContainerLayer("/certs", container), false);
  t.equal(isContainerLayer("/certs/acme", container), false);
  t.equal(isContainerLayer("/certs2", container), true);
  t.equal(isContainerLayer("/my certs/acme", container), false);
  t.equal(
    isContainerLayer("/app/certs", "22 21 8:1 / / rw - ext4 /dev/sda1 rw"),
    false,
    "an ordinary machine",
  );
  t.equal(isContainerLayer("/app/certs", ""), false);
});
