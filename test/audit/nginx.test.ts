import t from "tap";
import { auditChecks } from "../../src/audit/catalogue/catalogue.ts";
import { look, seen } from "../support/audit.ts";
import { nginxMissing, startNginx } from "../support/nginx.ts";

const missing = nginxMissing();
const withNginx = missing === null ? {} : { skip: missing };

const headers = [
  "Host $host",
  "X-Forwarded-Host $host",
  "X-Forwarded-For $remote_addr",
  "X-Forwarded-Proto $scheme",
]
  .map((one) => `proxy_set_header ${one};`)
  .join(" ");
const odoo = `${headers} proxy_pass http://127.0.0.1:8069;`;
const audited = (text: string) => look({ nginx: ["n"] }, { n: text });
const outcome = async (text: string, id: string) =>
  seen(await audited(text), id)
    .map((one) => one.split(" ")[0])
    .join(" ");

t.test(
  "the remedies that are printed are read by nginx, and close what they are for",
  withNginx,
  async (t) => {
    const locations = ["nginx-database-manager", "nginx-db-service"].map((id) => {
      const fix = auditChecks.find((one) => one.id === id)?.fix ?? "";
      return /^location .*? \{ .*? \}/.exec(fix)?.[0] ?? "none";
    });
    const site = `server { listen 443 ssl; server_name a.example.com; ${locations.join("\n")} location / { ${odoo} } }`;
    const nginx = await startNginx(site);
    t.teardown(() => nginx.close());
    t.equal(
      (await nginx.ask("POST", "/fr/web/database/manager", "a.example.com", "203.0.113.9")).status,
      404,
    );
    t.equal((await nginx.ask("POST", "/fr/xmlrpc/2/db", "a.example.com", "203.0.113.9")).status, 404);
    t.equal((await nginx.ask("GET", "/web/login", "a.example.com", "203.0.113.9")).status, 299);
    for (const id of ["nginx-database-manager", "nginx-db-service"])
      t.equal(await outcome(site, id), "pass", id);
  },
);

t.test("an error page, a capture or try_files that leads to Odoo opens what a location closed", async (t) => {
  for (const [how, rest] of [
    [
      "error_page",
      "error_page 404 = @odoo; location ~* /web/database { return 404; } location / { PROXY } location @odoo { PROXY }",
    ],
    [
      "error_page of a deny",
      "location / { PROXY } location ~* web/database { deny all; error_page 403 = @odoo; } location @odoo { PROXY }",
    ],
    ["a capture", "set $up 127.0.0.1:8069; location ~ ^/(.*)$ { HEADERS proxy_pass http://$up/$1; }"],
    ["$uri", "set $up 127.0.0.1:8069; location / { HEADERS proxy_pass http://$up$uri; }"],
    [
      "internal",
      "location / { PROXY } location /web/ { rewrite ^/web/(.*)$ /in/$1 last; } location /in/ { internal; rewrite ^/in/(.*)$ /web/$1 break; PROXY }",
    ],
  ] as const) {
    const site = `server { listen 443 ssl; server_name a.example.com; ${rest.replaceAll("PROXY", odoo).replaceAll("HEADERS", headers)} }`;
    t.equal(await outcome(site, "nginx-database-manager"), "fail", how);
  }
});

t.test("locations that send a request round for ever end the walk", async (t) => {
  for (const rest of [
    "location @a { try_files $uri @a; } location /web/ { try_files $uri @a; }",
    "location /web/ { rewrite ^ /web/x last; }",
    "error_page 404 /web/none; location /web/ { return 404; }",
    "map $x $y { default $y; } location /web/ { if ($y) { return 403; } }",
  ]) {
    const result = await audited(`server { listen 443 ssl; location / { ${odoo} } ${rest} }`);
    t.ok(result.findings.length > 10, rest);
  }
});

t.test("a limit that counts nothing, or by what the client chooses, is none", async (t) => {
  const judged = (zone: string, rest = "") =>
    outcome(
      `${zone} server { listen 443 ssl; server_name a.example.com; location / { limit_req zone=z burst=5; ${rest} ${odoo} } }`,
      "nginx-login-limit",
    );
  const zone = (key: string) => `limit_req_zone ${key} zone=z:10m rate=5r/m;`;
  t.equal(await judged(zone("$binary_remote_addr")), "pass");
  t.equal(await judged(zone("$binary_remote_addr"), "limit_req_dry_run on;"), "fail");
  t.equal(await judged(zone("$http_x_forwarded_for")), "fail");
  t.equal(await judged(zone("$binary_remote_addr$request_uri")), "fail");
  const only = (paths: string) =>
    `map $uri $key { default ""; ${paths} $binary_remote_addr; } ${zone("$key")}`;
  t.equal(await judged(only("~*/web/login")), "fail", "the other doors are not counted");
  t.equal(await judged(only("~*(login|authenticate|reset_password)")), "pass");
});

t.test("one server for both ports may redirect by itself", async (t) => {
  const site = (condition: string) =>
    `server { listen 80; listen 443 ssl; server_name a.example.com; if (${condition}) { return 301 https://$host$request_uri; } location / { ${odoo} } }`;
  for (const condition of ["$scheme = http", '$https = ""', "$server_port = 80", "$scheme != https"]) {
    t.equal(await outcome(site(condition), "nginx-tls"), "pass", condition);
    t.equal(await outcome(site(condition), "nginx-redirect"), "pass", condition);
  }
  t.equal(await outcome(site("$scheme = ftp"), "nginx-tls"), "fail");
  t.equal(await outcome(site("$scheme = ftp"), "nginx-redirect"), "fail");
});

t.test("a listener on the loopback is no way in for strangers, and * is every address", async (t) => {
  for (const listen of ["127.0.0.1:8080", "[::1]:8080", "unix:/run/nginx.sock", "localhost:8080"])
    t.equal(
      await outcome(`server { listen ${listen}; location / { ${odoo} } }`, "nginx-tls"),
      "pass",
      listen,
    );
  t.equal(await outcome(`server { listen 8080; location / { ${odoo} } }`, "nginx-tls"), "fail");
  t.equal(
    await outcome(
      `server { listen *:443 ssl default_server; return 444; } server { listen 443 ssl; server_name a.example.com; location / { ${odoo} } }`,
      "nginx-unknown-host",
    ),
    "pass",
  );
});

t.test("networks and addresses by geo close what they close", async (t) => {
  const judged = (geo: string) =>
    outcome(
      `geo $lan { ${geo} } server { listen 443 ssl; server_name a.example.com; if ($lan = 0) { return 403; } location / { ${odoo} } }`,
      "nginx-syntax",
    );
  t.equal(await judged("default 0; 10.0.0.0/8 1;"), "warn", "nothing is passed on for strangers");
  t.equal(await judged("default 0; 203.0.113.0/24 1;"), "pass");
});

t.test("Odoo's own documentation leaves Host out", async (t) => {
  const site = (rest: string) =>
    `server { listen 443 ssl; location / { ${rest} proxy_pass http://127.0.0.1:8069; } }`;
  t.equal(
    await outcome(site(headers.replace("proxy_set_header Host $host;", "")), "nginx-proxy-headers"),
    "warn",
  );
  t.equal(await outcome(site("proxy_set_header Host $host;"), "nginx-proxy-headers"), "fail");
});

t.test("a header whose value a map chooses is sent where the map says so", async (t) => {
  const site = (value: string) =>
    `map $scheme $hsts { ${value} } server { listen 443 ssl; add_header Strict-Transport-Security $hsts always; add_header X-Content-Type-Options nosniff always; add_header Referrer-Policy same-origin always; location / { ${odoo} } }`;
  t.equal(await outcome(site('https "max-age=31536000";'), "nginx-headers"), "pass");
  t.equal(await outcome(site('http "max-age=31536000";'), "nginx-headers"), "fail");
});

t.test("programs in Lua inside a configuration are passed over, not read", async (t) => {
  const site = `server { listen 443 ssl; server_name a.example.com; location / {
    access_by_lua_block { local t = { a = "don't" } -- it's
      if t then ngx.log(ngx.ERR, 'x') end
    }
    ${odoo} } location ~* web/database { return 404; } }`;
  t.equal(await outcome(site, "nginx-syntax"), "pass");
  const result = await audited(site);
  t.same(seen(result, "nginx-proxy-headers"), ["pass 1"]);
  t.same(seen(await audited("server { content_by_lua_block { "), "nginx-syntax").length > 0, true);
});

t.test("a stranger has no client's certificate", async (t) => {
  const site = (rest: string) =>
    `server { listen 443 ssl; server_name a.example.com; ${rest} location / { ${odoo} } location /web/database { if ($ssl_client_verify != SUCCESS) { return 403; } ${odoo} } }`;
  t.equal(await outcome(site("ssl_verify_client on;"), "nginx-syntax"), "warn", "nobody gets in");
  const told = (await audited(site("ssl_verify_client optional;"))).findings.find(
    ({ id }) => id === "nginx-database-manager",
  );
  t.match(
    told,
    { outcome: "fail", seen: /^GET \/en\/web/ },
    "closed as it is written, open behind a language",
  );
});

t.test("the upgrade is looked at with the values it has, and a socket file has no port", async (t) => {
  const judged = (connection: string, to = "http://127.0.0.1:8072", before = "") =>
    outcome(
      `${before} server { listen 443 ssl; location / { ${odoo} } location /websocket { proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection ${connection}; proxy_pass ${to}; } }`,
      "nginx-websocket",
    );
  const map = (value: string) => `map $http_upgrade $c { default ${value}; "" close; }`;
  t.equal(await judged("$c", undefined, map("upgrade")), "pass");
  t.equal(await judged("$c", undefined, map("close")), "fail");
  t.equal(await judged('"Upgrade"'), "pass");
  t.equal(await judged("$http_connection"), "pass", "what the client says");
  t.equal(await judged('""'), "fail");
  t.equal(await judged("upgrade", "http://unix:/run/odoo.sock"), "pass");
});

t.test("the default server's old protocols are offered for all that share its port", async (t) => {
  const site = (protocols: string) =>
    `server { listen 443 ssl default_server; ssl_protocols ${protocols}; return 444; } server { listen 443 ssl; server_name a.example.com; ssl_protocols TLSv1.2 TLSv1.3; location / { ${odoo} } }`;
  t.equal(await outcome(site("TLSv1.2 TLSv1.3"), "nginx-tls-protocols"), "pass");
  t.equal(await outcome(site("TLSv1.2"), "nginx-tls-protocols"), "warn");
  t.equal(await outcome(site("TLSv1.1 TLSv1.2"), "nginx-tls-protocols"), "fail");
});

t.test("headers-more and brotli do what add_header and gzip do; HSTS of 0 is none", async (t) => {
  const site = (rest: string) => `server { listen 443 ssl; ${rest} location / { ${odoo} } }`;
  const all =
    '"Strict-Transport-Security: max-age=31536000" "X-Content-Type-Options: nosniff" "Referrer-Policy: same-origin"';
  t.equal(await outcome(site(`more_set_headers ${all};`), "nginx-headers"), "pass");
  t.equal(await outcome(site(`more_set_headers ${all.replace("31536000", "0")};`), "nginx-headers"), "fail");
  t.equal(
    await outcome(
      site("brotli on; brotli_types text/css application/javascript application/json;"),
      "nginx-compression",
    ),
    "pass",
  );
  t.equal(await outcome(site("brotli on;"), "nginx-compression"), "warn");
});
