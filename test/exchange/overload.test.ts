import t from "tap";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { startMember, type TestMember } from "../support/member.ts";
import { valuesOf } from "../support/upstream-raw.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1, hostOf, openHttp2, openTls, recordOf, requestText, until } from "./clients.ts";

const html = ["Accept: text/html", "User-Agent: Mozilla/5.0 (X11) Firefox/140.0"];
const crawler = ["Accept: text/html", "User-Agent: Mozilla/5.0 (compatible; Googlebot/2.1)"];
const json = ["Content-Type: application/json", "User-Agent: Mozilla/5.0 (X11) Firefox/140.0"];

const form = "Content-Type: application/x-www-form-urlencoded";

/** A gateway that knows the number of workers, and an Odoo that answers when the test says so. */
async function busy(env: Record<string, string>) {
  const odoo = await startMember("odoo", { holds: true });
  const bus = await startScripted(() => {});
  const gateway = await startTestGateway({
    upstream: { webPort: odoo.port, busPort: bus.port },
    env: { TRUSTED_NETWORKS: "127.0.0.1", ...env },
  });
  return {
    gateway,
    odoo,
    async close() {
      await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
      await gateway.close();
      await odoo.close();
      await bus.close();
    },
  };
}

async function answerAll(odoo: TestMember, isDone: () => boolean): Promise<void> {
  await until(() => {
    for (const one of [...odoo.held]) one.answer();
    return isDone();
  });
}

const waiting = (gateway: TestGateway) => gateway.running.queue().waiting;

t.test("Odoo never has more requests than workers, and everybody is answered", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "3" });
  const answers = Array.from({ length: 12 }, (_, i) => h1(gateway, `GET /x?${i}`, html));
  await until(() => odoo.held.length === 3 && waiting(gateway) === 9);
  const status: unknown = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)).json();
  t.match(status, { queue: { capacity: 3, inFlight: 3, waiting: 9 } });
  await answerAll(odoo, () => gateway.records().length === 12);
  for (const answer of await Promise.all(answers)) t.equal(answer.status, 200);
  t.equal(odoo.most, 3);
  const records = gateway.records();
  t.equal(records.filter(({ queueMs }) => queueMs > 0).length, 9);
  t.ok(records.every(({ lane, queueMs, totalMs }) => lane === "site" && queueMs <= totalMs));
  t.match(gateway.running.queue(), { capacity: 3, inFlight: 0, waiting: 0 });
  await close();
});

t.test("a log-in and the health check get through when every worker is busy", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "2" });
  const others = Array.from({ length: 4 }, (_, i) => h1(gateway, `GET /x?${i}`, html));
  await until(() => waiting(gateway) === 2);
  t.equal((await h1(gateway, "GET /web/health")).status, 200, "answered past the queue");
  const login = h1(gateway, "POST /web/login", html, "login=a&password=b");
  await until(() => odoo.held.some(({ line }) => line.startsWith("POST /web/login")));
  t.equal(waiting(gateway), 2);
  await answerAll(odoo, () => gateway.records().length === 6);
  t.equal((await login).status, 200);
  t.equal((await recordOf(gateway, "/web/login")).lane, "login");
  await Promise.all(others);
  await close();
});

t.test("a full queue turns crawlers away first, in each caller's own way", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1", QUEUE_MAX: "2" });
  const first = h1(gateway, "GET /first", html);
  await until(() => odoo.held.length === 1);
  const bot = h1(gateway, "GET /shop?bot", crawler);
  await until(() => waiting(gateway) === 1);
  const person = h1(gateway, "GET /shop?person", html);
  await until(() => waiting(gateway) === 2);
  const call = h1(gateway, "POST /web/dataset/call_kw", json, "{}");
  const turnedAway = await bot;
  t.equal(turnedAway.status, 503);
  t.same(valuesOf(turnedAway, "retry-after"), ["120"]);
  t.match(turnedAway.body, /Busy at the moment/);
  t.match(await recordOf(gateway, "/shop?bot"), {
    verdict: "shed",
    lane: "crawler",
    status: 503,
    upstreamMs: null,
  });
  t.match(
    gateway.events.filter((one) => one.type === "shed"),
    [{ lane: "crawler", reason: "displaced" }],
  );
  await until(() => waiting(gateway) === 2);
  const late = await h1(gateway, "GET /shop?late", ["User-Agent: curl/8"]);
  t.equal(late.status, 503);
  t.match(valuesOf(late, "content-type")[0], /^text\/plain/);
  const rpc = h1(gateway, "POST /web/dataset/call_kw?2", json, "{}");
  // An API call comes before a visitor: it took the visitor's place.
  t.equal((await person).status, 503);
  await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
  t.equal((await call).status, 200);
  t.equal((await first).status, 200);
  t.equal((await rpc).status, 200);
  t.equal(odoo.asked.length, 3, "nobody who was turned away reached Odoo");
  const shed: unknown = await (await fetch(`http://127.0.0.1:${gateway.adminPort}/status`)).json();
  t.match(shed, { counters: { shed: { crawler: 1, site: 2 } } });
  await close();
});

t.test("one who fills the queue has his own requests turned away, and nobody else's", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1", QUEUE_MAX: "4" });
  const many = [1, 2, 3, 4, 5].map((i) => h1(gateway, `GET /many?${i}`, html));
  await until(() => odoo.held.length === 1 && waiting(gateway) === 4);
  const socket = await openTls(gateway, "127.0.0.7");
  const few = h1(gateway, "GET /few", html, "", { socket });
  await until(() => gateway.records().length === 1);
  t.match(gateway.records(), [{ verdict: "shed", peer: "127.0.0.1", status: 503 }]);
  odoo.held[0]?.answer();
  await until(() => odoo.asked.length === 2);
  odoo.held[0]?.answer();
  await until(() => odoo.asked.length === 3);
  t.match(odoo.asked[2], /^GET \/few /, "its turn comes before the rest of theirs");
  await answerAll(odoo, () => gateway.records().length === 6);
  t.equal((await few).status, 200);
  const statuses = (await Promise.all(many)).map(({ status }) => status).sort();
  t.same(statuses, [200, 200, 200, 200, 503]);
  await close();
});

t.test("who joined the fetch of one who was turned away is not turned away with him", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1", QUEUE_MAX: "3" });
  const from = async (address: string, target: string) =>
    h1(gateway, `GET ${target}`, html, "", { socket: await openTls(gateway, address) });
  const first = h1(gateway, "GET /first", html);
  await until(() => odoo.held.length === 1);
  const file = "/web/static/src/start.js";
  const many = ["/many?1", "/many?2", file].map((target) => from("127.0.0.7", target));
  await until(() => waiting(gateway) === 3);
  const joined = h1(gateway, `GET ${file}`);
  await until(() => gateway.running.gateway.exchanges === 5);
  const few = from("127.0.0.9", "/few");
  await until(() => gateway.records().length === 2);
  t.same(
    gateway.records().map(({ peer, status }) => [peer, status]),
    [
      ["127.0.0.7", 503],
      ["127.0.0.7", 503],
    ],
    "both places are taken from him who had most",
  );
  await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
  t.equal((await joined).status, 200);
  t.equal((await few).status, 200);
  await Promise.all([first, ...many]);
  await close();
});

t.test("a JSON-RPC caller that is turned away gets an error it can show", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1", QUEUE_MAX: "1" });
  const first = h1(gateway, "GET /first", html);
  await until(() => odoo.held.length === 1);
  const second = h1(gateway, "POST /web/dataset/call_kw?1", json, "{}");
  await until(() => waiting(gateway) === 1);
  const call = await h1(gateway, "POST /web/dataset/call_kw?2", json, "{}");
  t.equal(call.status, 503);
  t.equal(JSON.parse(call.body).error.data.name, "odoo.exceptions.UserError");
  t.match(valuesOf(call, "retry-after")[0], /^\d+$/);
  await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
  await Promise.all([first, second]);
  await close();
});

t.test("the wait has an end", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1", QUEUE_TIMEOUT: "1s" });
  const first = h1(gateway, "GET /first", html);
  await until(() => odoo.held.length === 1);
  const person = await h1(gateway, "GET /x?person", html);
  t.equal(person.status, 503);
  const { queueMs } = await recordOf(gateway, "/x?person");
  t.ok(queueMs >= 330, "a third of it for visitors");
  t.match(
    gateway.events.filter((one) => one.type === "shed"),
    [{ lane: "site", reason: "waited" }],
  );
  t.equal(waiting(gateway), 0);
  await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
  t.equal((await first).status, 200);
  await close();
});

t.test("reports leave one worker free for what printing asks of Odoo", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "3" });
  const targets = [
    "/report/pdf/sale/1",
    "/report/download",
    "/fr/report/pdf/sale/2",
    "/my/orders/1?report_type=pdf",
  ];
  const reports = targets.map((target) => h1(gateway, `GET ${target}`, html));
  await until(() => odoo.held.length === 2 && waiting(gateway) === 2);
  const asset = h1(gateway, "GET /web/assets/1/report.css", html);
  await until(() => odoo.held.length === 3);
  t.ok(
    odoo.held.some(({ line }) => line.includes("report.css")),
    "what wkhtmltopdf asks for comes through",
  );
  await answerAll(odoo, () => gateway.records().length === 5);
  for (const one of await Promise.all([...reports, asset])) t.equal(one.status, 200);
  await close();
});

t.test(
  "who leaves while waiting is never sent to Odoo, and who leaves Odoo keeps its worker until it answers",
  async (t) => {
    const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "1" });
    const running = await openTls(gateway);
    running.write(requestText(gateway, "GET /running", html));
    await until(() => odoo.held.length === 1);
    const leaver = await openTls(gateway);
    leaver.write(requestText(gateway, "GET /leaver", html));
    await until(() => waiting(gateway) === 1);
    const next = h1(gateway, "GET /next", html);
    await until(() => waiting(gateway) === 2);
    leaver.destroy();
    t.equal((await recordOf(gateway, "/leaver")).status, 499);
    running.destroy();
    t.equal((await recordOf(gateway, "/running")).status, 499);
    t.equal(odoo.asked.length, 1, "its worker is busy with it, whoever waits for the answer");
    t.match(gateway.running.queue(), { inFlight: 1, waiting: 1 });
    await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
    t.equal((await next).status, 200);
    t.same(odoo.asked, ["GET /running HTTP/1.1", "GET /next HTTP/1.1"]);
    await close();
  },
);

t.test("who takes his requests back one after the other has no more of Odoo than its workers", async (t) => {
  const { gateway, odoo, close } = await busy({ ODOO_WORKERS: "2" });
  const session = await openHttp2(gateway);
  for (let i = 0; i < 20; i += 1) {
    const stream = session.request({
      ":path": `/slow?${i}`,
      ":authority": hostOf(gateway),
      accept: "text/html",
      "user-agent": "Mozilla/5.0 (X11) Firefox/140.0",
    });
    stream.on("error", () => {});
    await until(() => gateway.running.gateway.exchanges === 1);
    await until(() => odoo.held.length === Math.min(i + 1, 2) && (i < 2 || waiting(gateway) === 1));
    stream.close(8);
    await until(() => gateway.running.gateway.exchanges === 0);
  }
  t.equal(odoo.asked.length, 2);
  t.match(gateway.running.queue(), { inFlight: 2, waiting: 0 });
  await answerAll(odoo, () => gateway.running.queue().inFlight === 0);
  const then = h1(gateway, "GET /then", html);
  await until(() => odoo.held.length === 1);
  odoo.held[0]?.answer();
  t.equal((await then).status, 200);
  session.destroy();
  await close();
});

t.test("attempts to log in that were turned away count as none", async (t) => {
  const { gateway, odoo, close } = await busy({
    ODOO_WORKERS: "1",
    QUEUE_TIMEOUT: "1s",
    LOGIN_BANS: "standard",
    TRUSTED_NETWORKS: "none",
  });
  const attempt = (account: string, n: string | number) =>
    h1(gateway, `POST /web/login?${n}`, [...html, form], `login=${account}&password=x`);
  const first = [h1(gateway, "GET /x?1", html), attempt("other", "other")];
  await until(() => odoo.held.length === 2);
  for (const round of [1, 2]) {
    const all = await Promise.all([1, 2, 3].map((n) => attempt("ana", `${round}${n}`)));
    t.same(
      all.map(({ status }) => status),
      [503, 503, 503],
    );
  }
  const last = attempt("ana", "last");
  await until(() => waiting(gateway) === 1);
  await answerAll(odoo, () => gateway.running.gateway.exchanges === 0);
  t.equal((await last).status, 200, "neither the limit nor the jail has counted the six");
  await Promise.all(first);
  await close();
});

t.test("without ODOO_WORKERS nothing waits here", async (t) => {
  const { gateway, odoo, close } = await busy({});
  const answers = Array.from({ length: 20 }, (_, i) => h1(gateway, `GET /report/pdf/${i}`, crawler));
  await until(() => odoo.held.length === 20);
  t.match(gateway.running.queue(), { capacity: null, learnt: false, inFlight: 20, waiting: 0 });
  await answerAll(odoo, () => gateway.records().length === 20);
  for (const one of await Promise.all(answers)) t.equal(one.status, 200);
  t.equal((await recordOf(gateway, "/report/pdf/0")).lane, "report");
  await close();
});

t.test("two members have twice the workers, and one that goes away takes its own with it", async (t) => {
  const a = await startMember("a", { holds: true });
  const b = await startMember("b", { holds: true });
  const gateway = await startTestGateway({
    env: {
      ODOO_URL: `http://127.0.0.1:${a.port} http://127.0.0.1:${b.port}`,
      ODOO_WORKERS: "2",
      TRUSTED_NETWORKS: "127.0.0.1",
    },
  });
  const answers = Array.from({ length: 8 }, (_, i) => h1(gateway, `GET /x?${i}`, html));
  await until(() => a.held.length === 2 && b.held.length === 2 && waiting(gateway) === 4);
  await b.close();
  await gateway.event((one) => one.type === "member-down");
  t.equal(gateway.running.queue().capacity, 2);
  await answerAll(a, () => gateway.records().length === 8);
  for (const one of await Promise.all(answers)) t.equal(one.status, 200, "those b had were asked again");
  await gateway.close();
  await a.close();
});
