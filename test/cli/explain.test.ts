import t from "tap";
import { systemClock } from "../../src/base/clock.ts";
import { ok } from "../../src/base/result.ts";
import { explainRequest } from "../../src/cli/explain.ts";
import { buildPlan } from "../../src/plan.ts";
import { loadSettings } from "../../src/settings/load.ts";
import { readPolicy } from "../../src/start/policy-files.ts";

/** What `explain` prints with this gateway.yaml. */
function explained(yaml: string, request: string, from: string): string {
  const loaded = loadSettings({ env: { DOMAIN: "erp.example.com" }, cwd: "/srv", readFile: () => ok(yaml) });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error));
  const { settings } = loaded.value;
  const policy = readPolicy(settings);
  if (!policy.ok) throw new Error(JSON.stringify(policy.error));
  const parts = { revision: 1, settings, policy: policy.value, httpsPort: 443, secret: Buffer.alloc(32) };
  const plan = buildPlan({ ...parts, clock: systemClock });
  const [method = "", target = ""] = request.split(" ");
  const asked = {
    method,
    target,
    from,
    host: null,
    session: "none",
    agent: "",
    websocket: false,
    plain: false,
  };
  return explainRequest(plan, asked);
}

const api = `
api:
  - networks: [192.0.2.0/24]
    services: [object, json-2]
    models: [res.partner]
    rate: 60/min
  - networks: [any]
    services: [json-2]
`;

t.test("explain tells which entry of api: a call meets", (t) => {
  const partner = explained(api, "POST /xmlrpc/2/object", "192.0.2.9");
  t.match(partner, /verdict: forward to web/);
  t.match(partner, /api: {5}gateway\.yaml:3:5 lets this network in; the call in the body still has to be/);
  t.match(partner, /its rate holds .*api-1: 1 a second, 59 more at once/);
  const users = explained(api, "POST /json/2/res.users/read", "192.0.2.9");
  t.match(users, /verdict: deny with 403\nrule: {4}api-model, gateway\.yaml:3:5/);
  t.match(explained(api, "POST /fr/xmlrpc/2/object", "203.0.113.9"), /api-service, gateway\.yaml:7:5/);
  t.match(explained(api, "POST /xmlrpc/2/common", "192.0.2.9"), /deny with 403\nrule: {4}api-service/);
  t.notMatch(explained(api, "GET /web/login", "203.0.113.9"), /^api:/m);
  const onlyPartner = "api: [{ networks: [192.0.2.0/24] }]\n";
  t.match(explained(onlyPartner, "POST /xmlrpc/2/common", "203.0.113.9"), /rule: {4}rpc-denied/);
  t.end();
});

t.test("explain tells where a staging copy asks for its password", (t) => {
  const staging = "preset: staging\nstaging_user: team\nstaging_password: correct horse\n";
  const asked = explained(staging, "GET /odoo", "203.0.113.9");
  t.match(asked, /verdict: forward to web.*\nstaging: without the staging password it gets 401$/m);
  t.match(explained(staging, "POST /payment/x", "203.0.113.9"), /^staging: no password is asked for here$/m);
  t.notMatch(explained("", "GET /odoo", "203.0.113.9"), /^staging:/m);
  t.end();
});

t.test("explain tells which other sites' pages may call, and what keeps a copy closed", (t) => {
  const cors =
    "cors: [{ paths: [/jsonrpc], origins: [https://a.example, https://b.example], credentials: true }]\n";
  t.match(
    explained(cors, "POST /jsonrpc", "203.0.113.9"),
    /^pages: {3}of https:\/\/a\.example, https:\/\/b\.example may call here with the session \(cors:\)/m,
  );
  t.notMatch(explained(cors, "POST /fr/jsonrpc", "203.0.113.9"), /^pages:/m);
  const staging =
    "preset: staging\nstaging_user: team\nstaging_password: correct horse\nstaging_neutralized: yes\n";
  t.match(explained(staging, "GET /odoo", "203.0.113.9"), /503 until Odoo's database is neutralised/);
  t.end();
});

t.test("explain tells where administrators' accounts are kept out", (t) => {
  const kept = "admin_networks: 192.0.2.0/28\nadmin_accounts: admin\n";
  t.match(
    explained(kept, "POST /fr/web/login", "198.51.100.9"),
    /^log-in: {2}403 for ADMIN_ACCOUNTS.*\(admin-account\)$/m,
  );
  t.notMatch(explained(kept, "POST /web/login", "192.0.2.9"), /ADMIN_ACCOUNTS/);
  t.notMatch(explained(kept, "GET /web/login", "198.51.100.9"), /ADMIN_ACCOUNTS/);
  t.end();
});

t.test("explain tells a bound of the spool where that is the smaller one", (t) => {
  const restore = explained("admin_networks: 192.0.2.0/24\n", "POST /web/database/restore", "192.0.2.9");
  t.match(restore, /body up to 8192 MiB \(SPOOL_MAX\)$/m);
  t.match(explained("", "POST /web/x", "192.0.2.9"), /body up to 128 MiB$/m);
  t.end();
});

t.test("explain tells what DATABASE refuses and answers", (t) => {
  const pinned = "database: prod\n";
  t.match(
    explained(pinned, "GET /web/login?db=other", "203.0.113.9"),
    /deny with 403, before any rule \(database-pinned\)/,
  );
  t.match(explained(pinned, "GET /web/login?db=prod", "203.0.113.9"), /verdict: forward/);
  t.match(
    explained(pinned, "POST /web/database/list", "203.0.113.9"),
    /answer 200 from the gateway, the list of one name: prod/,
  );
  t.match(explained("", "POST /web/database/list", "203.0.113.9"), /verdict: deny with 404/);
  t.end();
});

t.test("explain tells what the gateway does with reports of its policy", (t) => {
  const path = "/.well-known/csp-report";
  t.match(
    explained("", `POST ${path}`, "203.0.113.9"),
    /answer 204 from the gateway, before any rule \(csp-report\)/,
  );
  t.match(explained("", `GET ${path}`, "203.0.113.9"), /answer 405 from the gateway/);
  t.match(
    explained("csp_reports: false\n", `POST ${path}`, "203.0.113.9"),
    /verdict: deny with 404\nrule: +csp-report,/,
  );
  t.end();
});
