import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Page } from "playwright-core";
import t from "tap";
import { findChromium, startBrowser } from "../support/browser.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startScripted } from "../support/upstream-scripted.ts";

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

/** A site that is not ours, with this page at every address. */
async function anotherSite(test: Pick<typeof t, "teardown">, html: string): Promise<string> {
  const server = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/html");
    response.end(html);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  test.teardown(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
}

t.test("a window that goes through another site finds its opener again", options, async (t) => {
  const elsewhere = await anotherSite(t, "<title>another site</title>");
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

t.test("another site may frame eLearning's slides, and no other page", options, async (t) => {
  const odoo = await startScripted((socket) =>
    socket.end("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\nContent-Length: 5\r\n\r\nslide"),
  );
  t.teardown(() => odoo.close());
  const gateway = await startTestGateway({ upstream: { webPort: odoo.port, busPort: odoo.port } });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway);
  t.teardown(() => browser.close());
  const { page } = browser;
  const shown = async (path: string): Promise<boolean> => {
    const address = `https://odoo.test:${gateway.httpsPort}${path}`;
    await page.goto(await anotherSite(t, `<iframe src="${address}"></iframe>`));
    const texts = page.frames().map((frame) => frame.evaluate("document.body.innerText"));
    return (await Promise.all(texts)).includes("slide");
  };
  t.equal(await shown("/slides/embed_external/7?page=1"), true);
  t.equal(await shown("/fr/slides/embed/7"), true, "behind a language");
  t.equal(await shown("/slides/7"), false, "Odoo says nothing of frames here, and the gateway does");
});
