import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import t from "tap";
import { findChromium, startBrowser } from "../support/browser.ts";
import { startTestGateway } from "../support/gateway.ts";

const program = findChromium();
const options = { skip: program === null ? "chromium is not installed" : false } as const;

/** Opens `address` in a window of its own, as a link to a registration or an add-in does. */
async function windowOf(page: Page, address: string): Promise<Page> {
  const [opened] = await Promise.all([
    page.context().waitForEvent("page"),
    page.evaluate(`void window.open(${JSON.stringify(address)}, "_blank")`),
  ]);
  await opened.waitForURL(address);
  return opened;
}

/** The window goes on by itself, as behind a form or a redirect; typed addresses cut it off in any case. */
async function goOn(window: Page, address: string): Promise<void> {
  await Promise.all([
    window.waitForURL(address),
    window.evaluate(`void (location.href = ${JSON.stringify(address)})`),
  ]);
}

t.test("a window that goes through another site finds its opener again", options, async (t) => {
  const other = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end("<title>another site</title>");
  });
  await new Promise<void>((resolve) => other.listen(0, "127.0.0.1", resolve));
  t.teardown(() => new Promise((resolve) => other.close(resolve)));
  t.teardown(() => other.closeAllConnections());
  const elsewhere = `http://127.0.0.1:${(other.address() as AddressInfo).port}/`;
  const gateway = await startTestGateway({ demo: { workers: 4 } });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway);
  t.teardown(() => browser.close());
  const { page } = browser;
  const odoo = `https://odoo.test:${gateway.httpsPort}/web/login`;

  await page.goto(odoo);
  const registration = await windowOf(page, elsewhere);
  await goOn(registration, odoo);
  t.equal(await registration.evaluate("window.opener?.location.href"), odoo, "from Odoo, there and back");

  await page.goto(elsewhere);
  const consent = await windowOf(page, odoo);
  await goOn(consent, `${elsewhere}done`);
  t.equal(await consent.evaluate("window.opener?.location.href"), elsewhere, "an add-in's, to Odoo and back");
});
