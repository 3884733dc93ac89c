import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { err } from "../../src/base/result.ts";
import type { GatewayEvent } from "../../src/observe/events.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { startGateway } from "../../src/start.ts";

const folder = mkdtempSync(join(tmpdir(), "gateway-refusal-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));
const certsDir = join(folder, "certs");

/** As proc(5) writes it: a container whose root is an overlay, and a volume at `volume`. */
const container = (volume: string) => `22 21 0:21 / / rw,relatime - overlay overlay rw,lowerdir=/a
23 22 0:22 / /proc rw - proc proc rw
24 22 8:1 /v ${volume} rw,relatime - ext4 /dev/sda1 rw`;

/**
 * A whole start with nothing but TLS_MODE, DOMAIN and a folder: what it was refused for, or what it said once it ran. No
 * authority is asked: the only names are ones that none signs for.
 */
async function start(mounts: string, env: Readonly<Record<string, string>>) {
  const loaded = loadSettings({
    env: {
      ...{ TLS_MODE: "acme", DOMAIN: "localhost", ODOO_URL: "http://127.0.0.1:9", CERTS_DIR: certsDir },
      ...{ HTTPS_LISTEN: "127.0.0.1:0", HTTP_LISTEN: "127.0.0.1:0", ADMIN_LISTEN: "off" },
      ...{ STATE_DIR: join(folder, "state"), ...env },
    },
    cwd: folder,
    readFile: () => err({ missing: true, detail: "" }),
  });
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  const events: GatewayEvent[] = [];
  const started = await startGateway({
    settings: loaded.value.settings,
    sink: { emit: (event) => void events.push(event) },
    readMounts: () => mounts,
  });
  if (!started.ok) return { refused: started.error.map(problemLine).join("\n"), said: "" };
  await started.value.stop();
  const said = events.flatMap((event) => (event.type === "warning" ? [event.detail] : []));
  return { refused: null, said: said.join("\n") };
}

t.test(
  "the production directory is refused where certificates would be lost with the container",
  async (t) => {
    const { refused } = await start(container("/elsewhere"), {});
    t.match(refused, /certs is inside the container: certificates and the account are lost with it/);
    const second = { ACME_DIRECTORY: "https://ca.internal/dir", ACME_FALLBACK_DIRECTORY: "production" };
    t.match((await start(container("/elsewhere"), second)).refused, /is inside the container/);
    t.match(refused, /mount a volume at CERTS_DIR; try things out with ACME_DIRECTORY=staging/);
  },
);

t.test("a volume, another directory and an ordinary machine are fine", async (t) => {
  mkdirSync(certsDir, { recursive: true });
  t.match(await start(container(certsDir), {}), { refused: null, said: /^((?!inside the container).)*$/s });
  const staging = await start(container("/elsewhere"), { ACME_DIRECTORY: "staging" });
  t.match(staging, { refused: null, said: /is inside the container/ }, "told all the same");
  t.match(await start("22 21 8:1 / / rw - ext4 /dev/sda1 rw", {}), { refused: null });
});

t.test("a folder for certificates that cannot be written is refused at the start", async (t) => {
  const file = join(folder, "a-file");
  writeFileSync(file, "");
  const { refused } = await start("", { CERTS_DIR: join(file, "certs") });
  t.match(refused, /a-file.*ENOTDIR|a-file.*EEXIST/);
  t.same(readdirSync(folder).includes("certs"), true);
});
