import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { packageRoot } from "../../src/base/package-root.ts";

const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-validate-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

/** Status and standard error of a command that ends by itself. */
async function call(command: string, env: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [program, command], {
    cwd: folder,
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stdio: ["ignore", "ignore", "pipe"],
  });
  t.teardown(() => child.kill("SIGKILL"));
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [status] = await once(child, "close");
  return { status, errors };
}

/** The shipped policies, and one file more. */
function policiesWith(name: string, text: string): string {
  const directory = mkdtempSync(join(folder, "policies-"));
  cpSync(join(packageRoot().directory, "policies"), directory, { recursive: true });
  writeFileSync(join(directory, name), text, "latin1");
  return directory;
}

t.test("wrong settings and wrong policy files are told together, before a start too", async (t) => {
  const broken = "rules:\n  - id: mine\n    forwrad: web\n    why: A rule with a misspelt verdict.\n";
  const env = { ODOO_WORKERS: "x", POLICIES_DIR: policiesWith("99-broken.yaml", broken) };
  for (const { status, errors } of await Promise.all([call("validate", env), call("run", env)])) {
    t.equal(status, 1);
    t.match(errors, /^problem: environment ODOO_WORKERS "x" must be a whole number/m);
    t.match(errors, /^problem: policies-\w+\/99-broken\.yaml:3:\d+ .*"forwrad"/m);
    t.match(errors, /^3 problems; nothing was started or changed$/m);
  }
  const nowhere = await call("validate", { ODOO_WORKERS: "x", POLICIES_DIR: "~/policies" });
  t.match(nowhere.errors, /^2 problems;/m, "a folder that is named wrongly is not looked into");
});

t.test("a wrong certificate is told with wrong settings and policies, before a start too", async (t) => {
  writeFileSync(join(folder, "cert.pem"), "no certificate");
  const env = {
    DOMAIN: "odoo.test",
    ODOO_WORKERS: "x",
    POLICIES_DIR: policiesWith("99-broken.yaml", "rules: 5\n"),
    TLS_CERT_FILE: "cert.pem",
    TLS_KEY_FILE: "missing.pem",
  };
  const told = async (command: string, more = {}) => {
    const { status, errors } = await call(command, { ...env, ...more });
    t.equal(status, 1);
    t.match(errors, /^problem: environment ODOO_WORKERS "x" must be/m);
    t.match(errors, /^problem: policies-\w+\/99-broken\.yaml:1:/m);
    const isToldOf = (name: string) => new RegExp(`^problem: \\S*${name}\\.pem `, "m").test(errors);
    return [isToldOf("cert"), isToldOf("missing")];
  };
  const [validated, ran, local, unknown, unnamed] = await Promise.all([
    told("validate"),
    told("run"),
    told("validate", { TLS_MODE: "local" }),
    told("validate", { TLS_MODE: "flies" }),
    told("validate", { TLS_KEY_FILE: "~/key.pem" }),
  ]);
  t.same(
    [validated, ran],
    [
      [true, true],
      [true, true],
    ],
  );
  t.same(
    [local, unknown, unnamed],
    [
      [false, false],
      [false, false],
      [false, false],
    ],
    "files that may not be meant",
  );
});

t.test(
  "a policy file that is a pipe or no UTF-8 is a problem; a pipe would be waited for without end",
  async (t) => {
    // In Latin-1: the rule would be for a path that nobody asks for.
    const rule =
      "rules:\n  - id: pay\n    why: The pay slips of all.\n    match: { path: /geh\xe4lter/** }\n    deny: 404\n";
    const directory = policiesWith("11-pay.yaml", rule);
    const isPipe = spawnSync("mkfifo", [join(directory, "12-pipe.yaml")]).status === 0;
    const { status, errors } = await call("validate", { POLICIES_DIR: directory });
    t.equal(status, 1);
    t.match(errors, /11-pay\.yaml cannot be read: it is not UTF-8 text; a policy file is a regular file/);
    if (isPipe) t.match(errors, /12-pipe\.yaml cannot be read: it is no regular file/);
  },
);
