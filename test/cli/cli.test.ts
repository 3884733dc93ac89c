import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  cpSync,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { get } from "node:https";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { packageRoot } from "../../src/base/package-root.ts";
import { acmeDirectory, createDiskStore, freshState, setName } from "../../src/tls/acme-store.ts";
import { ensureLocalCertificate } from "../../src/tls/local-ca.ts";
import { accepts } from "../../src/upstream/bus-watch.ts";
import { member } from "../../src/upstream/pool.ts";

const program = fileURLToPath(new URL("../../src/main.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "odoo-gateway-cli-"));
t.teardown(() => rmSync(folder, { recursive: true, force: true }));

type Env = Readonly<Record<string, string>>;
const loopback: Env = {
  HTTPS_LISTEN: "127.0.0.1:0",
  HTTP_LISTEN: "127.0.0.1:0",
  ADMIN_LISTEN: "127.0.0.1:0",
};

/** The built command, in an empty folder, with nothing in its environment but what is given. */
class Command {
  readonly child: ChildProcess;
  out = "";
  errors = "";
  readonly ended: Promise<number | null>;
  #changed: () => void = () => {};

  constructor(args: readonly string[], env: Env = {}) {
    const PATH = process.env["PATH"] ?? "";
    this.child = spawn(process.execPath, [program, ...args], { cwd: folder, env: { PATH, ...env } });
    this.child.stdout?.setEncoding("utf8").on("data", (text: string) => {
      this.out += text;
      this.#changed();
    });
    this.child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.errors += text;
      this.#changed();
    });
    this.ended = once(this.child, "close").then(([status]) => {
      this.#changed();
      return status;
    });
  }

  /** Resolves with the match as soon as the pattern is printed; rejects when the command ends without it. */
  printed(pattern: RegExp): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const match = pattern.exec(this.errors) ?? pattern.exec(this.out);
        if (match !== null) return resolve(match);
        if (this.child.exitCode !== null)
          reject(new Error(`ended without printing ${pattern}:\n${this.out}${this.errors}`));
      };
      this.#changed = look;
      look();
    });
  }
}

async function call(args: readonly string[], env: Env = {}) {
  const command = new Command(args, env);
  return { status: await command.ended, out: command.out, errors: command.errors };
}

/** Asks over HTTPS and trusts nothing but that CA. */
function statusOf(port: string, path: string, caFile: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    const request = get(
      { host: "localhost", port, path, ca: readFileSync(caFile), agent: false },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      },
    );
    request.on("error", reject);
  });
}

t.test("each help fits a screen of 24 lines and 80 columns", async (t) => {
  const ways = [
    [["--help"], /^Usage: odoo-gateway \[command\]/m],
    [["help"], /^Usage: odoo-gateway \[command\]/m],
    ...["run", "demo", "validate", "explain", "certs", "csp", "alert", "health"].map((name) => [
      [name, "--help"],
      new RegExp(`^Usage: odoo-gateway ${name}`, "m"),
    ]),
  ] as const;
  const answers = await Promise.all(ways.map(([args]) => call(args as string[])));
  for (const [index, { status, out, errors }] of answers.entries()) {
    const [args, pattern] = ways[index] ?? [[], /$^/];
    const name = (args as string[]).join(" ");
    const lines = out.replace(/\n$/, "").split("\n");
    t.equal(status, 0, `${name} ends with 0`);
    t.equal(errors, "", `${name} prints no error`);
    t.match(out, pattern, name);
    t.ok(lines.length <= 24, `${name} has ${lines.length} lines`);
    t.same(
      lines.filter((line) => line.length > 80),
      [],
      `${name} has no line beyond column 80`,
    );
  }
});

t.test("what is no command or argument is named, with status 2", async (t) => {
  const [command, argument, option, request] = await Promise.all([
    call(["frobnicate"]),
    call(["run", "--port=1"]),
    call(["explain", "GET /", "--form", "1.2.3.4"]),
    call(["explain", "/web/login"]),
  ]);
  t.match(command, { status: 2, errors: /no command "frobnicate"/ });
  for (const args of [["chek"], ["help", "chek"]])
    t.match(await call(args), { status: 2, errors: 'there is no command "chek"; did you mean check?\n' });
  t.match(argument, { status: 2, errors: /takes no argument, but got "--port=1"/ });
  t.match(option, { status: 2, errors: /--form/ });
  t.match(request, { status: 2, errors: /give one request in quotes/ });
  t.match(await call(["--version"]), { status: 0, out: packageRoot().version });
});

t.test("a reader that leaves early is no crash, and a full disk is told", async (t) => {
  for (const args of [["--help"], ["check", "--list"], ["explain", "GET /web"], ["validate"]]) {
    const command = new Command(args);
    command.child.stdout?.destroy();
    t.equal(await command.ended, 0, args.join(" "));
    t.equal(command.errors, "");
  }
  if (!existsSync("/dev/full")) return;
  const full = openSync("/dev/full", "w");
  const child = spawn(process.execPath, [program, "check", "--list"], { stdio: ["ignore", full, "pipe"] });
  let errors = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  const [status] = await once(child, "close");
  closeSync(full);
  t.equal(status, 2);
  t.match(errors, /^standard output cannot be written: ENOSPC.*\n$/);
});

t.test("certs lists what there is, changes nothing, and prints the local CA", async (t) => {
  const certs = join(folder, "certs-listed");
  const env = { CERTS_DIR: certs, DOMAIN: "erp.example.com" };
  const none = await call(["certs"], env);
  t.match(none, { status: 1, out: /^erp\.example\.com\n.*local\.pem\n {2}certificate {3}none yet/ });
  t.notOk(existsSync(certs), "looking makes nothing");
  t.match(await call(["certs", "ca"], env), { status: 1, out: "", errors: /made when the gateway starts/ });
  writeFileSync(join(folder, "torn.pem"), "torn");
  const files = { TLS_MODE: "files", TLS_CERT_FILE: "torn.pem", TLS_KEY_FILE: "torn.pem" };
  const torn = await call(["certs"], { ...env, ...files });
  t.match(torn, {
    status: 1,
    out: /torn\.pem\n {2}certificate {3}cannot be used\n/,
    errors: /^warning: .*torn\.pem /,
  });
  const made = await ensureLocalCertificate({
    directory: certs,
    names: ["erp.example.com"],
    wallMs: Date.now(),
  });
  t.ok(made.ok);
  t.match(await call(["certs"], env), {
    status: 0,
    out: /issuer .*local CA[\s\S]*valid until .*, 89 days left\n {2}next renewal {2}20/,
  });
  const ca = await call(["certs", "ca"], env);
  t.equal(ca.out, readFileSync(join(certs, "local-ca.pem"), "utf8"));
  t.match(ca.errors, /Debian[\s\S]*macOS[\s\S]*Windows[\s\S]*Firefox/);
  const directory = acmeDirectory(certs, "https://ca.example/dir");
  const store = createDiskStore(directory, systemClock);
  await store.saveState(setName(["erp.example.com"]), {
    ...freshState,
    failures: 2,
    nextTryMs: Date.parse("2030-01-01T00:00:00Z"),
    lastFailure: {
      wallMs: Date.parse("2029-12-31T00:00:00Z"),
      detail: "rateLimited:\ntoo many certificates \u001b[2J",
    },
  });
  const acme = { ...env, TLS_MODE: "acme", ACME_DIRECTORY: "https://ca.example/dir" };
  t.match(await call(["certs"], acme), {
    status: 1,
    out: /none yet\n.*last failure {2}2029-12-31T00:00:00Z: rateLimited: too many certificates \\x1b\[2J\n {2}next try {6}2030-01-01/,
  });
  t.match(await call(["certs", "ca"], acme), { status: 1, errors: /TLS_MODE is acme/ });
  t.match(await call(["certs", "renew"], env), { status: 2 });
});

t.test("validate says what is good, or every problem at once", async (t) => {
  const [good, bad, policy] = await Promise.all([
    call(["validate"], { DOMAIN: "erp.example.com", PRESET: "strict" }),
    call(["validate"], { DOMAN: "x", BODY_MAX: "foo", PRESET: "stric", HTTPS_LISTEN: ":99999" }),
    call(["validate"], { POLICIES_DIR: brokenPolicies() }),
  ]);
  t.match(good, {
    status: 0,
    out: /^settings and policies are good: preset strict, \d+ rules.*erp\.example\.com$/m,
  });
  t.equal(bad.status, 1);
  t.match(bad.errors, /DOMAN is no setting; did you mean DOMAIN\?/);
  t.match(bad.errors, /BODY_MAX "foo"/);
  t.match(bad.errors, /PRESET "stric".*did you mean strict\?/);
  t.match(bad.errors, /HTTPS_LISTEN ":99999"/);
  t.match(bad.errors, /^4 problems; nothing was started or changed$/m);
  t.equal(policy.status, 1);
  t.match(policy.errors, /99-broken\.yaml:3:\d+ .*"forwrad"/, "a policy file's problem has its place");
});

/** The shipped policies and one file with a mistake. */
function brokenPolicies(): string {
  const directory = mkdtempSync(join(folder, "broken-"));
  cpSync(join(packageRoot().directory, "policies"), directory, { recursive: true });
  writeFileSync(join(directory, "99-broken.yaml"), brokenRule);
  return directory;
}
const brokenRule = "rules:\n  - id: mine\n    forwrad: web\n    why: A rule with a misspelt verdict.\n";

t.test("explain names rule, file, line and reason", async (t) => {
  const [login, denied, refused, moved, unserved, kept, off, picture] = await Promise.all([
    call(["explain", "POST /fr/web/login", "--from", "203.0.113.9"]),
    call(["explain", "GET /fr/web/database/manager"]),
    call(["explain", "GET /web/..%2fdatabase/manager"]),
    call(["explain", "GET /shop?page=2", "--plain"], { DOMAIN: "erp.example.com", HTTPS_LISTEN: ":443" }),
    call(["explain", "GET /", "--host", "evil.example"]),
    call(["explain", "GET /web/assets/0c5bb5f/web.assets_web.min.js"]),
    call(["explain", "GET /web/assets/0c5bb5f/x.js"], { CACHE: "off" }),
    call(["explain", "GET /web/image/1"]),
  ]);
  t.equal(login.status, 0);
  t.match(login.out, /^path: +\/fr\/web\/login +or, behind a language: \/web\/login$/m);
  t.match(login.out, /^ {2}=> login +policies\/20-login\.yaml:\d+ /m);
  t.match(login.out, /^verdict: forward to web/m);
  t.match(
    login.out,
    /^limits: +login: 5 a minute, 5 more at once, per account tried from the client address, .*; a success gives/m,
  );
  t.match(login.out, /^why: +\S/m);
  t.match(denied.out, /^verdict: deny with 404$/m);
  t.match(denied.out, /^rule: +database-manager, policies\/10-database\.yaml:\d+$/m);
  t.match(refused.out, /^verdict: refused by the screen before any rule, 400 \(target-encoded-separator\)$/m);
  t.match(
    moved.out,
    /^verdict: redirect 301 to https:\/\/erp\.example\.com\/shop\?page=2, before any rule$/m,
  );
  t.match(unserved.out, /^verdict: refused by the screen before any rule, 421 \(host-unknown\)$/m);
  t.match(kept.out, /^cache: +kept in memory when Odoo's answer is public; .* after 60 s$/m);
  t.match(off.out, /^cache: +off \(CACHE\)$/m);
  t.notMatch(picture.out, /^cache:/m);
});

t.test("run serves without settings, survives a bad reload, and ends with 0", async (t) => {
  const policies = mkdtempSync(join(folder, "policies-"));
  cpSync(join(packageRoot().directory, "policies"), policies, { recursive: true });
  const odooIsHere = await accepts(member("127.0.0.1", 8069));
  const run = new Command(["run"], { ...loopback, POLICIES_DIR: policies });
  t.teardown(() => run.child.kill("SIGKILL"));
  const [, https = ""] = await run.printed(/^ {2}https +127\.0\.0\.1:(\d+)$/m);
  const [, admin = ""] = await run.printed(/^ {2}admin +http:\/\/(127\.0\.0\.1:\d+)\/status$/m);
  await run.printed(/^ {2}npx odoo-gateway explain .*\n/m);
  t.match(run.errors, /preset standard, \d+ rules/);
  t.match(run.errors, /Three things to try/);
  if (odooIsHere)
    t.match(run.errors, /Odoo +http:\/\/127\.0\.0\.1:8069/, "something answers there: it is used");
  else t.match(run.errors, /built-in STAND-IN,\nnot a real Odoo/, "the banner says what stands behind");

  const ca = join(folder, "certs", "local-ca.pem");
  t.equal(await statusOf(https, "/web/login", ca), 200);
  t.equal(await statusOf(https, "/web/database/manager", ca), 404);
  t.equal((await call(["health"], { ...loopback, ADMIN_LISTEN: admin })).status, 0, "health says it runs");

  writeFileSync(join(policies, "99-broken.yaml"), brokenRule);
  run.child.kill("SIGHUP");
  await run.printed(/^reload refused: .*99-broken\.yaml:3:/m);
  t.equal(await statusOf(https, "/web/login", ca), 200, "the old plan serves on");
  rmSync(join(policies, "99-broken.yaml"));
  run.child.kill("SIGHUP");
  await run.printed(/"event":"plan-loaded".*"revision":2/);
  t.equal(await statusOf(https, "/web/database/manager", ca), 404);

  t.notMatch(run.out, /changed: .* restart/, "an Odoo that was found without ODOO_URL is no change");

  run.child.kill("SIGTERM");
  t.equal(await run.ended, 0, "SIGTERM is a clean end");
  t.match(run.out, /"event":"stopped"/);
  for (const line of run.out.trim().split("\n"))
    t.ok(JSON.parse(line), "standard output has JSON lines only");
  t.equal((await call(["health"], { ...loopback, ADMIN_LISTEN: admin })).status, 1, "health says it is gone");
});

t.test("a running gateway is asked where it listens, whatever is wrong with other settings", async (t) => {
  const run = new Command(["run"], { ...loopback, ODOO_URL: "http://127.0.0.1:9" });
  t.teardown(() => run.child.kill("SIGKILL"));
  const [, admin = ""] = await run.printed(/^ {2}admin +http:\/\/(127\.0\.0\.1:\d+)\/status$/m);
  const broken = { ODOO_URL: "nonsense", BODY_MAX: "much", ADMIN_LISTEN: admin };
  t.equal((await call(["health"], broken)).status, 0, "others bad in the environment");
  for (const command of [["bans"], ["maintenance"], ["cache"], ["csp"]])
    t.match(await call(command, broken), { status: 0, errors: "" }, command.join(" "));

  const file = join(folder, "gateway.yaml");
  t.teardown(() => rmSync(file, { force: true }));
  for (const [what, text] of [
    ["an unknown key", `admin_listen: ${admin}\nodoo_ulr: http://odoo:8069\n`],
    ["another bad value", `body_max: much\nadmin_listen: "${admin}"\n`],
    ["no YAML", `admin_listen: ${admin}\nodoo_url: "http://odoo\n  - :\n`],
  ] as const) {
    writeFileSync(file, text);
    t.match(await call(["health"]), { status: 0, errors: "" }, what);
  }
  const good = { ADMIN_LISTEN: admin };
  writeFileSync(file, "admin_listen: nowhere\n");
  t.equal((await call(["health"], good)).status, 0, "the environment wins");
  t.match(await call(["health"]), {
    status: 1,
    errors: /^problem: gateway\.yaml:1:\d+ admin_listen "nowhere" is no address; write host:port/,
  });
  writeFileSync(file, "admin_listen: 9180\n");
  t.match(await call(["bans"]), {
    status: 1,
    errors: /^problem: gateway\.yaml:1:\d+ admin_listen must be text/,
  });
  rmSync(file);
  t.match(await call(["health"], { ADMIN_LISTEN: "off" }), {
    status: 1,
    errors: "there is no admin listener to ask (ADMIN_LISTEN)\n",
  });

  t.match(await call(["bans", "lst"], good), {
    status: 2,
    errors: /^there is no "lst", only list, add and remove\n\n/,
  });
  t.match(await call(["bans", "add"], good), { status: 2, errors: /^"add" needs an address\n\n/ });
  t.match(await call(["bans", "list", "x"], good), { status: 2, errors: /^"x" was not expected\n\n/ });
  t.match(await call(["cache", "empty"], good), {
    status: 2,
    errors: /^there is no "empty", only show and clear\n\n/,
  });

  writeFileSync(file, "log_level: debug\ntrusted_networks: 0.0.0.0/0\n");
  run.child.kill("SIGHUP");
  await run.printed(/^warning: .*trusted_networks "0\.0\.0\.0\/0" is everybody/m);
  await run.printed(/"event":"warning".*LOG_LEVEL changed: it needs a restart/);
  rmSync(file);
  run.child.kill("SIGTERM");
  t.equal(await run.ended, 0);
});

t.test("a taken port is a problem, and nothing stays open", async (t) => {
  const taken = createServer().listen(0, "127.0.0.1");
  await once(taken, "listening");
  t.teardown(() => taken.close());
  const { port } = taken.address() as AddressInfo;
  // Not a name that needs a stand-in: nothing is asked there.
  const ODOO_URL = "http://127.0.0.1:9";
  const ways: Env[] = [{ HTTPS_LISTEN: `127.0.0.1:${port}` }, { HTTP_LISTEN: `127.0.0.1:${port}` }];
  for (const way of ways) {
    const [name = ""] = Object.keys(way);
    const { status, errors } = await call(["run"], { ...loopback, ODOO_URL, ...way });
    t.equal(status, 1, name);
    t.match(errors, new RegExp(`^problem: environment ${name} .*${port} is taken by another program`, "m"));
    t.match(errors, /^1 problem; nothing was started or changed$/m);
    t.notMatch(errors, / {2,}| $|;$/m, "the message reads well");
  }
});

t.test("demo starts alone on free ports and ends with 0", async (t) => {
  const demo = new Command(["demo", "--port", "0", "--bus-port", "0"]);
  t.teardown(() => demo.child.kill("SIGKILL"));
  const [, port = ""] = await demo.printed(/http:\/\/127\.0\.0\.1:(\d+) \(web\)/);
  const answer = await fetch(`http://127.0.0.1:${port}/web/login`);
  t.equal(answer.status, 200);
  await answer.text();
  demo.child.kill("SIGTERM");
  t.equal(await demo.ended, 0);
  t.match(await call(["demo", "--port", "x"]), { status: 2, errors: /whole numbers/ });
});

t.test("the command of the package runs the built program", async (t) => {
  const bin = join(packageRoot().directory, "bin", "odoo-gateway.js");
  const child = spawn(process.execPath, [bin, "--version"], { cwd: folder });
  let text = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    text += chunk;
  });
  const [status] = await once(child, "close");
  const built = existsSync(join(packageRoot().directory, "build", "src", "main.js"));
  t.equal(status, built ? 0 : 1);
  t.match(text, built ? packageRoot().version : /npm ci && npm run build/, "or says how to build it");
});
