import t from "tap";
import { until } from "../exchange/clients.ts";
import { findChromium, startBrowser } from "../support/browser.ts";
import { startTestGateway } from "../support/gateway.ts";

const program = findChromium();
const options = { skip: program === null ? "chromium is not installed" : false } as const;

/** Runs in the page: uploads, downloads, many requests at once, and requests that are given up. */
const work = `(async () => {
  const bytes = new Uint8Array(20_000_000).fill(65);
  const upload = fetch("/demo/echo", { method: "POST", body: bytes }).then((answer) => answer.json());
  const downloads = [1, 2].map(async () => {
    const answer = await fetch("/demo/big?bytes=30000000");
    return (await answer.arrayBuffer()).byteLength;
  });
  const many = Array.from({ length: 300 }, async (_, i) => (await fetch("/demo/echo?" + i)).status);
  const given = Array.from({ length: 60 }, async (_, i) => {
    const stop = new AbortController();
    const asked = fetch("/demo/slow?ms=60000&" + i, { signal: stop.signal }).catch(() => "given up");
    setTimeout(() => stop.abort(), 200);
    return asked;
  });
  const [up, down, statuses, left] = await Promise.all([
    upload, Promise.all(downloads), Promise.all(many), Promise.all(given),
  ]);
  return [up.body.length, down, [...new Set(statuses)], [...new Set(left)]];
})()`;

t.test("what a browser does in earnest is no flood", options, async (t) => {
  const gateway = await startTestGateway({
    // Browser, gateway and stand-in share two cores: the stand-in's patience is none of this test's questions.
    demo: { workers: 100, silentTimeoutMs: 60_000 },
    env: { TRUSTED_NETWORKS: "127.0.0.1" },
  });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway);
  t.teardown(() => browser.close());
  const { page } = browser;
  await page.goto(`https://odoo.test:${gateway.httpsPort}/web/login`);
  t.same(await page.evaluate(work), [20_000_000, [30_000_000, 30_000_000], [200], ["given up"]]);
  t.same(browser.errors, []);
  const records = gateway.records();
  t.same([...new Set(records.map(({ protocol }) => protocol))], ["HTTP/2"]);
  await until(() => gateway.running.gateway.exchanges === 0);
  t.ok(records.length > 300, `${records.length} exchanges`);
});
