import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import t from "tap";
import { readAddress, readTarget } from "../../src/check/target.ts";
import { check } from "../../src/cli/check.ts";
import { startTestGateway } from "../support/gateway.ts";

async function call(
  ...args: string[]
): Promise<{ readonly status: number; readonly out: string; readonly errors: string }> {
  let [out, errors] = ["", ""];
  const status = await check(args, {
    out: (text) => {
      out += text;
    },
    error: (text) => {
      errors += text;
    },
    columns: 100,
    colour: false,
  });
  return { status, out, errors };
}

t.test("a look at the gateway: exit status, forms and files", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const folder = t.testdir({});
  const site = [`https://odoo.test:${gateway.httpsPort}`, "--address", "127.0.0.1"];
  const quick = [...site, "--ca", gateway.caFile, "--only", "database-*,certificate-*"];
  const files = ["json", "sarif", "html", "junit"].map((form) => `--${form}=${join(folder, form)}`);
  const good = await call(...quick, ...files);
  t.equal(good.status, 0, good.out + good.errors);
  t.match(good.out, /^pass {2}database-manager-spellings /m);
  t.match(good.out, "\n0 fail, 0 warn, 0 skipped, 9 pass\n");
  t.equal(JSON.parse(readFileSync(join(folder, "json"), "utf8")).findings.length, 9);
  t.match(readFileSync(join(folder, "html"), "utf8"), /^<!doctype html>/);
  const json = await call(...site, "--only", "certificate-chain", "--json");
  t.equal(json.status, 1, "without --ca the local authority is nobody");
  t.match(JSON.parse(json.out), { command: "check", counts: { fail: 1 } });
  t.match(JSON.parse(json.out).findings[0].fix, "--ca");
  const skipping = await call(...site, "--only", "certificate-*", "--skip", "certificate-chain");
  t.equal(skipping.status, 0);
  const elsewhere = await call(
    "https://odoo.test",
    "--address",
    `127.0.0.1:${gateway.httpsPort}`,
    "--only",
    "certificate-names,database-manager",
  );
  t.equal(elsewhere.status, 0, `the port of --address holds: ${elsewhere.out}`);
});

t.test("what is not understood is refused before anything is asked", async (t) => {
  const folder = t.testdir({ "no.pem": "hello" });
  for (const [args, why] of [
    [[], /give one site/],
    [["https://a.test", "https://b.test"], /"https:\/\/b\.test" is one too many/],
    [["ftp://a.test"], /neither https nor http/],
    [["https://a.test:0"], /a port is a number from 1 to 65535/],
    [["https://u:p@a.test"], /user or password/],
    [["https://a.test/odoo?x=1"], /without a path: https:\/\/a\.test/],
    [["https://a.test", "--adress", "1.2.3.4"], /Unknown option '--adress'/],
    [["https://a.test", "--address", "a.test"], /no address/],
    [["https://a.test", "--address", "1.2.3.4:99999"], /no address/],
    [["https://a.test", "--ca", join(folder, "none.pem")], /cannot be read/],
    [["https://a.test", "--ca", join(folder, "no.pem")], /holds no certificate/],
    [["https://a.test", "--ca", folder], /it is no regular file/],
    [["https://a.test", "--since", join(folder, "no.pem")], /is no report of check --json/],
    [["https://a.test", "--http-port", "x"], /no list of ports/],
    [["https://a.test", "--http-port", "80,81"], /takes one port/],
    [["https://a.test", "--direct-ports", "0"], /no list of ports/],
    [["https://a.test", "--timeout", "5"], /no duration/],
    [["https://a.test", "--from", "eth0"], /no address of this machine/],
    [["https://a.test", "--from", "203.0.113.1"], /"203\.0\.113\.1" is no address of this machine/],
    [["https://[::1]:9", "--from", "127.0.0.1"], /from 127\.0\.0\.1 there is no way to ::1/],
    [["https://a.test", "--only", "tls"], /is no check/],
    [["https://a.test", "--html", "report.html"], /"report\.html" is one too many/],
  ] as const) {
    const { status, errors, out } = await call(...args);
    t.equal(status, 2, args.join(" "));
    t.match(errors, why);
    t.equal(out, "");
  }
});

t.test("a look at which everything was skipped is no good news", async (t) => {
  const { status, out, errors } = await call("http://127.0.0.1:9", "--only", "header-*");
  t.equal(status, 2, out);
  t.match(errors, "nothing was looked at: every check was skipped");
});

t.test("a look that did not end in time is no good news either", async (t) => {
  const server = createServer((request, response) => {
    // The page comes; what else is asked gets no answer.
    if (request.url === "/web/login") response.end('<form class="oe_login_form">Odoo</form>');
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;
  const ids = ["--only", "odoo-answers,database-service,banner"];
  const { status, out, errors } = await call(`http://127.0.0.1:${port}`, ...ids, "--timeout", "1s", "--json");
  t.equal(status, 2, out);
  t.match(errors, "not all was looked at: the time of one look is used up; --timeout gives it more");
  t.match(JSON.parse(out), { counts: { fail: 0, pass: 1 }, unfinished: /time/ });
});

t.test("a name that does not exist is no report", async (t) => {
  const { status, errors } = await call("https://odoo-gateway-check.invalid", "--timeout", "20s");
  t.equal(status, 2);
  t.match(errors, /^nothing was looked at: the name odoo-gateway-check\.invalid /);
});

t.test("a certificate in front that is unreadable does not stop a look", async (t) => {
  const folder = t.testdir({});
  writeFileSync(join(folder, "bad.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  const { status, out, errors } = await call(
    "https://127.0.0.1:9",
    "--ca",
    join(folder, "bad.pem"),
    "--only",
    "odoo-answers",
  );
  t.equal(status, 1, out + errors);
  t.match(out, "FAIL  odoo-answers");
});

t.test("sites and addresses as people write them", async (t) => {
  const target = (text: string) => {
    const read = readTarget(text);
    return read.ok ? [read.value.url, read.value.host, read.value.port, read.value.authority] : read.error;
  };
  t.same(target("erp.example.com"), ["https://erp.example.com", "erp.example.com", 443, "erp.example.com"]);
  t.same(target("https://ERP.example.com.:8443/"), [
    "https://erp.example.com:8443",
    "erp.example.com",
    8443,
    "erp.example.com:8443",
  ]);
  t.same(target("https://[2001:db8::1]"), ["https://[2001:db8::1]", "2001:db8::1", 443, "[2001:db8::1]"]);
  t.same(target("http://erp.example.com"), [
    "http://erp.example.com",
    "erp.example.com",
    80,
    "erp.example.com",
  ]);
  const address = (text: string) => {
    const read = readAddress(text);
    return read.ok ? [read.value.address, read.value.port] : null;
  };
  t.same(address("203.0.113.10"), ["203.0.113.10", null]);
  t.same(address("203.0.113.10:8443"), ["203.0.113.10", 8443]);
  t.same(address("2001:db8::1"), ["2001:db8::1", null]);
  t.same(address("[2001:db8::1]"), ["2001:db8::1", null]);
  t.same(address("[2001:db8::1]:443"), ["2001:db8::1", 443]);
  for (const bad of ["", "localhost", "1.2.3.4:0", "1.2.3.4:70000", "1.2.3", "[1.2.3.4", "::1:443:"])
    t.equal(address(bad), null, bad);
});
