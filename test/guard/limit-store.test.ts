import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { RateLimiterUnion } from "rate-limiter-flexible";
import t from "tap";
import { manualClock } from "../../src/base/clock.ts";
import { LeakyBucket } from "../../src/guard/limit-store.ts";
import { limitStoreContract } from "../contracts/limit-store.ts";
import { freePort } from "../support/ports.ts";

limitStoreContract("LeakyBucket", (options) => new LeakyBucket(options));

/** ngx_http_limit_req_lookup, one key, line by line in C's integers. */
class NginxZone {
  readonly #rate: number;
  readonly #burst: number;
  #node: { excess: number; last: number } | null = null;

  constructor(perMinuteOrSecond: number, scale: 1 | 60, burst: number) {
    this.#rate = Math.trunc((perMinuteOrSecond * 1000) / scale);
    this.#burst = burst * 1000;
  }

  accepts(now: number): boolean {
    const node = this.#node;
    if (node === null) {
      this.#node = { excess: 0, last: now };
      return true;
    }
    const ms = now - node.last;
    let excess = node.excess - Math.trunc((this.#rate * ms) / 1000) + 1000;
    if (excess < 0) excess = 0;
    if (excess > this.#burst) return false;
    node.excess = excess;
    if (ms !== 0) node.last = now;
    return true;
  }
}

t.test("every decision is the one nginx's arithmetic makes", (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 1_000 }),
      fc.constantFrom<1 | 60>(1, 60),
      fc.integer({ min: 0, max: 60 }),
      fc.array(fc.oneof(fc.integer({ min: 0, max: 50 }), fc.integer({ min: 0, max: 90_000 })), {
        maxLength: 200,
      }),
      (rate, scale, burst, pauses) => {
        const clock = manualClock();
        const bucket = new LeakyBucket({ clock, ratePerSecond: rate / scale, burst });
        const zone = new NginxZone(rate, scale, burst);
        return pauses.every((pause) => {
          clock.advance(pause);
          return bucket.take("k").ok === zone.accepts(clock.nowMs());
        });
      },
    ),
    { numRuns: 300 },
  );
  t.end();
});

t.test("strangers cannot fill the memory: keys are bounded, and forgetting is kind", (t) => {
  const bucket = new LeakyBucket({ clock: manualClock(), ratePerSecond: 1, burst: 0, keysMax: 100 });
  for (let i = 0; i < 10_000; i += 1) bucket.take(`10.0.${i >> 8}.${i & 255}`);
  t.ok(bucket.size <= 100);
  t.equal(bucket.take("10.0.0.0").ok, true);
  t.end();
});

t.test("times that no longer fit beside a level start anew instead of going wrong", (t) => {
  const clock = manualClock();
  const bucket = new LeakyBucket({ clock, ratePerSecond: 0.000_001, burst: 2_000 });
  for (let i = 0; i < 2_001; i += 1) bucket.take("k");
  t.equal(bucket.take("k").ok, false);
  clock.advance(40 * 86_400_000);
  for (let i = 0; i < 3; i += 1) bucket.take("k");
  t.equal(bucket.take("k").ok, false, "after 40 days still counted");
  clock.advance(20 * 86_400_000);
  t.same([bucket.take("k").ok, bucket.size], [true, 1]);
  t.end();
});

t.test("it stands in rate-limiter-flexible's interface", async (t) => {
  const clock = manualClock();
  const bucket = new LeakyBucket({ clock, ratePerSecond: 1, burst: 2 });
  t.match(await bucket.consume("k"), { remainingPoints: 2, consumedPoints: 1, isFirstInDuration: true });
  t.match(await bucket.consume("k", 2), { remainingPoints: 0, consumedPoints: 3, msBeforeNext: 0 });
  const refusal = (points: number) =>
    bucket.consume("k", points).then(
      () => t.fail("passed"),
      (report: unknown) => report,
    );
  t.match(await refusal(1), { remainingPoints: 0, msBeforeNext: 1000 });
  t.match(await bucket.reward("k"), { remainingPoints: 1 });
  t.match(await refusal(2), { msBeforeNext: 1000 });
  t.match(await bucket.get("k"), { consumedPoints: 2 }, "a refusal of two points takes none");
  t.match(await bucket.penalty("k", 9), { remainingPoints: 0 });
  t.match(await bucket.set("k", 1), { consumedPoints: 1 });
  t.equal(await bucket.delete("k"), true);
  t.equal(await bucket.get("k"), null);
  await t.rejects(bucket.block());
  const union = new RateLimiterUnion(bucket, new LeakyBucket({ clock, ratePerSecond: 1, burst: 9 }));
  t.ok(await union.consume("u"));
});

t.test("a rate or burst that means nothing is our bug, not a silent limit", (t) => {
  for (const [ratePerSecond, burst] of [
    [0, 1],
    [-1, 1],
    [Number.NaN, 1],
    [1, -1],
    [1, 0.5],
  ] as const) {
    t.throws(() => new LeakyBucket({ clock: manualClock(), ratePerSecond, burst }), RangeError);
  }
  t.end();
});

const nginx = "/usr/sbin/nginx";

t.test(
  "a real nginx decides the same",
  { skip: existsSync(nginx) ? false : "nginx is not installed" },
  async (t) => {
    const directory = mkdtempSync(join(tmpdir(), "gateway-nginx-"));
    const port = await freePort();
    writeFileSync(
      join(directory, "nginx.conf"),
      `daemon off; master_process off; pid ${directory}/pid; error_log stderr crit;
events { worker_connections 64; }
http { log_format t "$msec $status"; access_log ${directory}/log t; client_body_temp_path ${directory}/b; proxy_temp_path ${directory}/p; fastcgi_temp_path ${directory}/f;
uwsgi_temp_path ${directory}/u; scgi_temp_path ${directory}/s; keepalive_requests 1000000;
limit_req_zone $binary_remote_addr zone=z:1m rate=50r/s;
server { listen 127.0.0.1:${port}; location / { limit_req zone=z burst=5 nodelay; limit_req_status 429; root ${directory}; } } }`,
    );
    writeFileSync(join(directory, "ok"), "ok");
    const child = spawn(nginx, ["-p", directory, "-c", join(directory, "nginx.conf")], { stdio: "ignore" });
    try {
      const ask = await asker(port);
      // nginx decides and logs with the same cached time, so its log can be replayed: what this machine does meanwhile
      // does not matter. Its two clocks round apart by a millisecond.
      const until = performance.now() + 1_200;
      while (performance.now() < until) await ask();
      let nowMs = 0;
      const bucket = new LeakyBucket({ clock: { nowMs: () => nowMs }, ratePerSecond: 50, burst: 5 });
      const theirs: { at: number; line: number }[] = [];
      const ours: { at: number; line: number }[] = [];
      for (const [line, text] of readFileSync(join(directory, "log"), "utf8").trim().split("\n").entries()) {
        const [seconds = "", status = ""] = text.split(" ");
        nowMs = Math.round(Number(seconds) * 1000);
        if (status === "200") theirs.push({ at: nowMs, line });
        if (bucket.take("k").ok) ours.push({ at: nowMs, line });
      }
      t.ok(theirs.length > 10, `nginx let ${theirs.length} through`);
      t.ok(Math.abs(ours.length - theirs.length) <= 1, `ours ${ours.length}`);
      // In step: within the time one more takes to come (20 ms), or the very next request when there was none in it. A millisecond of
      // rounding decides which of two requests it is.
      const others = theirs.filter(({ at, line }, i) => {
        const mine = ours[i];
        return mine !== undefined && Math.abs(at - mine.at) > 25 && Math.abs(line - mine.line) > 1;
      });
      t.same(others, [], "the same requests");
    } finally {
      child.kill("SIGKILL");
      rmSync(directory, { recursive: true, force: true });
    }
  },
);

/** Between attempts to connect while nginx starts. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** One kept connection; each call sends a GET and answers with the status. Tries to connect for 2 s. */
async function asker(port: number): Promise<() => Promise<number>> {
  for (let tries = 0; ; tries += 1) {
    const socket = connect(port, "127.0.0.1");
    const connected = await new Promise<boolean>((resolve) => {
      socket.once("connect", () => resolve(true));
      socket.once("error", () => resolve(false));
    });
    if (connected) {
      socket.unref();
      socket.on("error", () => {});
      return () =>
        new Promise((resolve, reject) => {
          let text = "";
          const read = (chunk: Buffer) => {
            text += chunk.toString("latin1");
            const head = text.indexOf("\r\n\r\n");
            if (head < 0) return;
            const length = Number(/content-length: (\d+)/i.exec(text)?.[1] ?? 0);
            if (text.length < head + 4 + length) return;
            socket.off("data", read);
            socket.off("close", reject);
            resolve(Number(text.slice(9, 12)));
          };
          socket.on("data", read);
          socket.once("close", reject);
          socket.write("GET /ok HTTP/1.1\r\nHost: a\r\n\r\n");
        });
    }
    if (tries > 40) throw new Error("nginx did not start");
    await pause(50);
  }
}
