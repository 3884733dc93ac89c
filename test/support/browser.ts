import { createHash, X509Certificate } from "node:crypto";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { chromium, type Page } from "playwright-core";
import type { TestGateway } from "./gateway.ts";

/** Chromium's program, or null where there is none: that is said aloud, and in CI it is a failure. */
export function findChromium(): string | null {
  for (const place of (process.env["PATH"] ?? "").split(delimiter)) {
    const program = join(place, "chromium");
    try {
      accessSync(program, constants.X_OK);
      return program;
    } catch {
      // Not here.
    }
  }
  const why = "chromium is not installed: no page is looked at in a real browser";
  if (process.env["CI"] === "true") throw new Error(why);
  process.stderr.write(`SKIPPED: ${why}\n`);
  return null;
}

export interface TestBrowser {
  readonly page: Page;
  /** What the console said of errors, other than statuses of 400 and more. */
  readonly errors: readonly string[];
  /** Status and address of each answer, in order. */
  readonly answers: readonly (readonly [status: number, url: string])[];
  /** Writes what is shown to the folder in SCREENSHOTS; without it does nothing. */
  screenshot(name: string): Promise<void>;
  close(): Promise<void>;
}

/** A browser with a profile of its own that takes the gateway's certificate, and knows odoo.test and no other name (127.0.0.1 is another site). */
export async function startBrowser(
  program: string,
  gateway: TestGateway,
  /** More of Chromium's own arguments. */
  args: readonly string[] = [],
): Promise<TestBrowser> {
  const profile = mkdtempSync(join(tmpdir(), "odoo-gateway-browser-"));
  const key = new X509Certificate(gateway.running.tls().fallback.certPem).publicKey;
  const keyHash = createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64");
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: program,
    headless: true,
    viewport: { width: 1_000, height: 600 },
    args: [
      `--ignore-certificate-errors-spki-list=${keyHash}`,
      "--host-resolver-rules=MAP odoo.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      "--no-sandbox",
      "--disable-background-networking",
      "--disable-component-update",
      ...args,
    ],
  });
  const page = context.pages()[0] ?? (await context.newPage());
  const errors: string[] = [];
  const answers: (readonly [number, string])[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" && !message.text().includes("the server responded with a status"))
      errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("response", (answer) => answers.push([answer.status(), answer.url()]));
  return {
    page,
    errors,
    answers,
    async screenshot(name) {
      const folder = process.env["SCREENSHOTS"];
      if (folder !== undefined) await page.screenshot({ path: join(folder, `${name}.png`) });
    },
    async close() {
      await context.close();
      rmSync(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}
