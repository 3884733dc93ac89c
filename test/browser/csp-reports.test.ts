import t from "tap";
import { findChromium, startBrowser } from "../support/browser.ts";
import { startTestGateway, type TestGateway } from "../support/gateway.ts";
import { startScripted } from "../support/upstream-scripted.ts";

const program = findChromium();
const options = { skip: program === null ? "chromium is not installed" : false } as const;
/** Reports of the Reporting API are sent behind the page, after a minute but for this. */
const soon = ["--short-reporting-delay"];

const html = `<!doctype html><title>shop</title><p id="shown">shop</p>
<script src="https://cdn.example.net/chat.js?visitor=secret"></script>
<img src="https://pictures.example.net/1.png" alt="">`;

/** Odoo whose pages load a script from elsewhere. `policy`: what it says itself of what a page may load. */
function odoo(policy: string) {
  return startScripted((socket) => {
    const said = policy === "" ? "" : `${policy}\r\n`;
    const length = Buffer.byteLength(html);
    socket.end(
      `HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n${said}Content-Length: ${length}\r\nConnection: close\r\n\r\n${html}`,
    );
  });
}

async function opened(env: Readonly<Record<string, string>>, policy = "") {
  const upstream = await odoo(policy);
  t.teardown(() => upstream.close());
  const { port } = upstream;
  const gateway = await startTestGateway({ env, upstream: { webPort: port, busPort: port } });
  t.teardown(() => gateway.close());
  const browser = await startBrowser(program ?? "", gateway, soon);
  t.teardown(() => browser.close());
  await browser.page.goto(`https://odoo.test:${gateway.httpsPort}/shop/page/2?token=secret`);
  return { gateway, browser, upstream };
}

const reported = (gateway: TestGateway) =>
  gateway.event((event) => event.type === "access" && event.rule === "csp-report");

t.test(
  "a browser tells what strict would have blocked, and the page is shown as ever",
  options,
  async (t) => {
    const { gateway, browser, upstream } = await opened({});
    t.ok(await browser.page.getByText("shop").isVisible());
    t.match(await reported(gateway), { status: 204, verdict: "answer", method: "POST" });
    t.match(gateway.running.shared.cspReports.list(), [
      {
        directive: "script-src",
        source: "https://cdn.example.net",
        count: 1,
        clients: 1,
        page: `odoo.test:${gateway.httpsPort}/shop/page/2`,
      },
    ]);
    t.equal(gateway.running.shared.cspReports.list().length, 1, "pictures from anywhere are allowed");
    const asked = upstream.received.map(({ bytes }) => bytes.toString()).join("");
    t.notMatch(asked, /csp-report/, "Odoo heard nothing of it");
  },
);

t.test("strict tells what it blocked", options, async (t) => {
  const { gateway, browser } = await opened({ PRESET: "strict" });
  t.match(browser.errors.join("\n"), /cdn\.example\.net.*violates/, "blocked");
  await reported(gateway);
  t.match(gateway.running.shared.cspReports.list(), [
    { directive: "script-src", source: "https://cdn.example.net" },
  ]);
});

t.test("the older form, by report-uri alone", options, async (t) => {
  const policy = "Content-Security-Policy: report-uri /.well-known/csp-report";
  const { gateway } = await opened({ PRESET: "strict" }, policy);
  await reported(gateway);
  t.match(gateway.running.shared.cspReports.list(), [
    { directive: "script-src", source: "https://cdn.example.net", count: 1 },
  ]);
});
