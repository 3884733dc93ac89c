import t from "tap";
import { explainRequest } from "../../src/cli/explain.ts";
import { startTestGateway } from "../support/gateway.ts";
import { startScripted } from "../support/upstream-scripted.ts";
import { h1 } from "./clients.ts";

/** Routes of every kind of rule, and what makes other spellings of them. */
const paths =
  `/ /web /web/login /web/session/authenticate /web/database/manager /web/database/list /xmlrpc/db /xmlrpc/2/common /json/2/x/y
  /web/dataset/call_kw /websocket /.env /robots.txt /web/assets/1/x.js /web/tests /web/version /report/pdf/x /payment/x /pos/web`.split(
    /\s+/,
  );
const spellings: readonly ((path: string) => string)[] = [
  (path) => path,
  (path) => `/fr${path}`,
  (path) => `/english${path}/`,
  (path) => path.replace("web", "%77eb").replace(/.$/, (last) => last.toUpperCase()),
  (path) => `${path}//?db=other&redirect=%2f%2fevil.test`,
  (path) => path.replace(/\/([^/]*)$/, "%2F$1"),
  (path) => `${path}/..;/x?debug=1`,
];
const methods = ["GET", "POST", "HEAD", "PUT", "TRACE"];
const clients = ["203.0.113.9", "10.1.2.3", "192.0.2.7", "2001:db8:1::1", "172.16.0.1"];

/** What `explain` says: the status a client gets, and the rule or refusal behind it. */
function told(text: string): string {
  const verdict = /^verdict: (.*)$/m.exec(text)?.[1] ?? text;
  const rule = /^rule: +([^,\n]+)/m.exec(text)?.[1];
  const status = verdict.startsWith("forward") ? "200" : /\d{3}/.exec(verdict)?.[0];
  const code = / \d{3} \((.*)\)$/.exec(verdict)?.[1] ?? /before any rule \((.*)\)$/.exec(verdict)?.[1];
  if (/^staging: without/m.test(text)) return `401 ${rule}`;
  return `${status} ${rule ?? code ?? "moved"}`;
}

t.test("explain says of each request what the gateway does with it", async (t) => {
  const odoo = await startScripted((socket) => socket.end("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"));
  t.teardown(() => odoo.close());
  const upstream = { webPort: odoo.port, busPort: odoo.port };
  const base = { DOMAIN: "odoo.test,shop.test", TRUSTED_PROXIES: "127.0.0.1", LOGIN_BANS: "off" };
  const networks = {
    ADMIN_NETWORKS: "10.0.0.0/8",
    API_NETWORKS: "192.0.2.0/24",
    POS_NETWORKS: "172.16.0.0/12",
  };
  for (const env of [
    { ...networks, DATABASE_MANAGER: "redirect" },
    { PRESET: "strict", TRUSTED_NETWORKS: "2001:db8:1::/48", DATABASE: "prod" },
    { PRESET: "staging", STAGING_USER: "team", STAGING_PASSWORD: "correct horse" },
  ]) {
    const gateway = await startTestGateway({ env: { ...base, ...env }, upstream });
    t.teardown(() => gateway.close());
    let count = 0;
    for (const path of paths) {
      for (const spelling of spellings) {
        // Each in its turn with the others: all of them with all would be thousands.
        const method = methods[count % methods.length] ?? "";
        const from = clients[count % clients.length] ?? "";
        const plain = count % 7 === 3;
        const session = count % 3 === 0 ? "present" : "none";
        count += 1;
        const target = spelling(path);
        const plan = gateway.running.plan();
        const asked = { method, target, from, session, plain, host: null, agent: "", websocket: false };
        const lines = [`X-Forwarded-For: ${from}`];
        if (session === "present") lines.push(`Cookie: ${plan.site.sessionCookie}=${"x".repeat(84)}`);
        if (method === "POST" || method === "PUT") lines.push("Content-Length: 0");
        const answer = await h1(gateway, `${method} ${target}`, lines, "", { plain });
        const record = gateway.records().at(-1);
        const moved = record?.rule === "plain-http" ? "moved" : null;
        const done = `${answer.status} ${moved ?? record?.rule ?? record?.failure}`;
        if (told(explainRequest(plan, asked)) !== done)
          t.equal(told(explainRequest(plan, asked)), done, JSON.stringify({ ...env, ...asked }));
      }
    }
    t.equal(gateway.records().length, count);
  }
});
