import t from "tap";
import { emptyIpSet } from "../../src/base/ip-set.ts";
import { startDemo } from "../../src/demo/start.ts";
import { findChromium, startBrowser } from "../support/browser.ts";
import { startTestGateway } from "../support/gateway.ts";

const program = findChromium();
const options = { skip: program === null ? "chromium is not installed" : false } as const;
/** Above every Retry-After of these pages, on a slow machine. */
const backMsMax = 60_000;

t.test("a page asked for while Odoo restarts comes back by itself", options, async (t) => {
  const old = await startDemo();
  const { webPort, busPort } = old;
  await old.close();
  const gateway = await startTestGateway({ upstream: { webPort, busPort }, env: { HOLD_TIMEOUT: "200ms" } });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway);
  t.teardown(() => browser.close());
  const { page, answers } = browser;
  const address = `https://odoo.test:${gateway.httpsPort}/web/login`;
  const shown = await page.goto(address);
  t.equal(shown?.status(), 503);
  t.match(shown?.headers()["retry-after"], /^[5-9]$/);
  t.equal(await page.title(), "503 Back in a moment");
  t.ok(await page.getByText("This page tries again by itself.").isVisible());
  t.not(
    await page.evaluate(`getComputedStyle(document.querySelector("h1")).fontFamily`),
    `"Times New Roman"`,
    "its own style is allowed by its policy",
  );
  await browser.screenshot("restarting");
  t.same(browser.errors, []);

  const odoo = await startDemo({ webPort, busPort, workers: 4 });
  t.teardown(() => odoo.close());
  await page.waitForSelector("input[name=password]", { timeout: backMsMax });
  await browser.screenshot("restarted");
  t.equal(page.url(), address, "the same address");
  const pages = answers.filter(([, url]) => url === address).map(([status]) => status);
  t.equal(pages.at(-1), 200);
  t.same(new Set(pages.slice(0, -1)), new Set([503]));
});

t.test("the maintenance page says why, and leads back when the site is open", options, async (t) => {
  const gateway = await startTestGateway({ demo: { workers: 4 } });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway);
  t.teardown(() => browser.close());
  const { page } = browser;
  const close = (message: string, untilWallMs: number | null) =>
    gateway.running.maintain({ message, untilWallMs, allow: emptyIpSet, passKey: null });
  close("New version <b>19.1</b>, back at noon", Date.now() + 3_600_000);
  const shown = await page.goto(`https://odoo.test:${gateway.httpsPort}/web/login`);
  t.equal(shown?.status(), 503);
  t.equal(await page.title(), "Maintenance");
  t.ok(await page.getByText("New version <b>19.1</b>, back at noon").isVisible(), "as text, not as HTML");
  await browser.screenshot("maintenance");

  close("", Date.now() + 1_500);
  await page.reload();
  t.ok(await page.getByText("This site is closed for maintenance.").isVisible());
  await page.waitForSelector("input[name=password]", { timeout: backMsMax });
  t.same(browser.errors, []);
});
