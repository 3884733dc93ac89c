/** What the four proxies have to do with a check of the inside view. docs/checks/inside.md is made from it. Markdown. */
import { auditGroups } from "./catalogue.ts";

export interface Elsewhere {
  readonly nginx: string;
  readonly traefik: string;
  readonly caddy: string;
  readonly gateway: string;
}

/** Four lines of its own, the section of the outside view whose lines hold here too, or one line for all four. */
export type ElsewhereOf =
  | { readonly kind: "own"; readonly lines: Elsewhere }
  | { readonly kind: "outside"; readonly id: string; readonly nginx: string | null }
  | { readonly kind: "all"; readonly line: string };

const own = (nginx: string, traefik: string, caddy: string, gateway: string): ElsewhereOf => ({
  kind: "own",
  lines: { nginx, traefik, caddy, gateway },
});
const outside = (id: string): ElsewhereOf => ({ kind: "outside", id, nginx: null });
/** For a check of nginx itself: its line is the fix above. */
const asOutside = (id: string): ElsewhereOf => ({ kind: "outside", id, nginx: "The line above." });
const all = (line: string): ElsewhereOf => ({ kind: "all", line });

const odoosOwn = all("nothing to change there, the line is Odoo's own.");
const everyService = all("the same line in the service of the proxy, whichever it is.");
const postgresOwn = all("nothing to change there; none of them stands between Odoo and PostgreSQL.");

const special: Readonly<Record<string, ElsewhereOf>> = {
  "conf-master-password": outside("database-manager"),
  "conf-dbfilter-hosts": own(
    "`server_name` for each host that is served, and `proxy_set_header X-Forwarded-Host $host;`: the filter reads that name.",
    "A `Host` rule for each host; the name is passed on as it is.",
    "The site's names; the name is passed on as it is.",
    "The hosts in `DOMAIN`; `DATABASE`, or `hosts:` in `gateway.yaml`, pins a host to its database besides.",
  ),
  "conf-list-db": outside("database-list"),
  "conf-proxy-mode": outside("proxy-mode"),
  "conf-interface": outside("direct-ports"),
  "conf-ports": own(
    "`proxy_pass` to `http_port`, and `location /websocket` to `gevent_port`.",
    "`loadbalancer.server.port` of the two services.",
    "`reverse_proxy` to `http_port`, and `reverse_proxy /websocket` to `gevent_port`.",
    "`ODOO_URL` and `ODOO_BUS_URL`.",
  ),
  "conf-dev-mode": own(
    "Nothing there hides a traceback.",
    "Nothing there hides a traceback.",
    "Nothing there hides a traceback.",
    "`PRESET=strict` takes tracebacks out of errors for strangers; the line in odoo.conf is still wrong.",
  ),
  "conf-x-sendfile": own(
    "With `x_sendfile = True`: `location /web/filestore { internal; alias …; }`, which needs Odoo's disk.",
    "It sends no files: keep `x_sendfile = False`.",
    "`handle_response` on `X-Accel-Redirect`, which needs Odoo's disk; else keep `x_sendfile = False`.",
    "`ODOO_FILESTORE`, with Odoo's volume mounted read-only; else keep `x_sendfile = False`.",
  ),
  "conf-workers": own(
    "With `workers = 0` `/websocket` goes to 8069 as well.",
    "With `workers = 0` no router for 8072.",
    "With `workers = 0` no `reverse_proxy` for 8072.",
    "Notices `workers = 0` by itself; `ODOO_WORKERS` tells it how many there are, so that a burst waits here and not in Odoo.",
  ),
  "conf-timeouts": own(
    "`proxy_read_timeout` above `limit_time_real`.",
    "It waits without an end unless `serversTransport.forwardingTimeouts.responseHeaderTimeout` is set.",
    "It waits without an end unless `response_header_timeout` is set.",
    "`ODOO_LIMIT_TIME_REAL`, or `timeout` of the rule in the policies; reports and calls have 720 s.",
  ),
  "conf-upload-memory": own(
    "`client_max_body_size` is what BODY_MAX is here.",
    "`buffering.maxRequestBodyBytes`.",
    "`request_body { max_size … }`",
    "`BODY_MAX`.",
  ),
  "conf-log-level": own(
    "fail2ban then has nginx's access log only, where a wrong password is a 200 like any page.",
    "As for nginx.",
    "As for nginx.",
    "Its own log has a `login` line for each attempt, whatever Odoo writes; `docs/fail2ban` and `docs/crowdsec` read it.",
  ),
  "fail2ban-limits": own(
    "`limit_req` slows each address down beside it; it counts right passwords, too.",
    "`rateLimit` slows each address down beside it; it counts right passwords, too.",
    "Nothing without a plug-in.",
    "`LOGIN_BANS` counts failures by address and account, with the answers before it and no log; `docs/fail2ban` for the machine's other ports.",
  ),
  "compose-files": everyService,
  "compose-ports": outside("direct-ports"),
  "compose-docker-socket": own(
    "It needs no socket.",
    "Use the file provider, or a socket proxy that answers GET for containers only, on a network of its own.",
    "It needs no socket (the docker-proxy plug-in does: leave it out).",
    "It needs no socket.",
  ),
  "compose-networks": own(
    "One network with Odoo and not with the database.",
    "As for nginx; `providers.docker.network` names it.",
    "As for nginx.",
    "As for nginx.",
  ),
  "compose-postgres-auth": postgresOwn,
  "compose-postgres-role": postgresOwn,
  "compose-odoo-options": odoosOwn,
  "compose-depends-on": own(
    "Add `depends_on` for Odoo: nginx does not start when a name in `proxy_pass` is unknown.",
    "Nothing: it answers 502 or 404 until Odoo is there.",
    "Nothing: it answers 502 until Odoo is there.",
    "Nothing: pages are held and asked again until Odoo answers.",
  ),
  "compose-volumes": own(
    "A volume for its certificates.",
    "A volume for `acme.json`, mode 600.",
    "Volumes for `/data` and `/config`.",
    "Volumes for `CERTS_DIR` and `STATE_DIR`.",
  ),
  "nginx-syntax": own(
    "The line above.",
    "Its log and its dashboard name a router that cannot be read.",
    "`caddy validate --config Caddyfile`",
    "`odoo-gateway validate`.",
  ),
  "nginx-database-manager": asOutside("database-manager-spellings"),
  "nginx-db-service": asOutside("database-service"),
  "nginx-jsonrpc": asOutside("database-service"),
  "nginx-login-limit": asOutside("login-limit"),
  "nginx-rpc-limit": own(
    "The line above.",
    "`rateLimit`, better `ipAllowList`, on a router for these paths.",
    "`remote_ip` as in the [database block](outside.md#the-database-block-for-caddy); a rate needs a plug-in.",
    "As it is: failed guesses over RPC count like those of the form; `API_NETWORKS` says who may call at all.",
  ),
  "nginx-tls": asOutside("https"),
  "odoo-base-url": outside("forwarded-host"),
  "odoo-report-url": own(
    "A `server` on an address inside, without limits and TLS, for `report.url`.",
    "An entry point of its own on an internal network.",
    "A site on an internal address, `http://10.0.0.5:8070`.",
    "`REPORT_LISTEN`, for `ODOO_NETWORKS` only.",
  ),
  "odoo-upload-limit": own(
    "`client_max_body_size 128m;`",
    "No bound unless `buffering.maxRequestBodyBytes` is set: then 134217728.",
    "No bound unless `request_body { max_size … }` is set: then 128MiB.",
    "`BODY_MAX`, 128 MiB as it is.",
  ),
  "nginx-redirect": asOutside("plain-redirect"),
  "nginx-tls-protocols": asOutside("tls-versions"),
  "nginx-banner": asOutside("banner"),
  "nginx-headers": asOutside("headers-on-errors"),
  "nginx-header-inheritance": asOutside("headers-on-errors"),
  "nginx-websocket": asOutside("websocket"),
  "nginx-proxy-headers": asOutside("proxy-mode"),
  "nginx-body-limit": own(
    "The line above.",
    "No bound unless `buffering.maxRequestBodyBytes` is set: then 134217728.",
    "No bound unless `request_body { max_size … }` is set: then 128MiB.",
    "`BODY_MAX`, 128 MiB as it is.",
  ),
  "nginx-timeouts": own(
    "The line above.",
    "`serversTransport.forwardingTimeouts.dialTimeout: 5s`, and no `responseHeaderTimeout` below `limit_time_real`.",
    "`transport http { dial_timeout 5s }`, and no `response_header_timeout` below `limit_time_real`.",
    "As it is; `timeout` of a rule in the policies for longer ones.",
  ),
  "nginx-buffering": own(
    "The line above.",
    "`buffering` with `memResponseBodyBytes` on Odoo's router; as it is, answers go through at the client's pace.",
    "`response_buffers` in `reverse_proxy`; as it is, answers go through at the client's pace.",
    "As it is: answers are taken at Odoo's pace, into memory and then a file.",
  ),
  "nginx-attachment-cache": asOutside("cache-private"),
  "nginx-compression": asOutside("compression"),
  "nginx-cookie-flags": asOutside("cookie-flags"),
  "nginx-underscores": asOutside("forwarded-host"),
  "nginx-unknown-host": asOutside("foreign-host"),
};

const usual: Readonly<Record<string, ElsewhereOf>> = {
  conf: odoosOwn,
  compose: everyService,
  hba: postgresOwn,
  pgconf: postgresOwn,
  pg: postgresOwn,
  odoo: all("nothing to change there, the setting is Odoo's own."),
  backup: all(
    "nothing to change there; the gateway's own folders (`CERTS_DIR`, `STATE_DIR`, `gateway.yaml`) belong into the backup, too.",
  ),
  fail2ban: own(
    "As it is: its own log has a 200 for a wrong password, so the jail reads Odoo's.",
    "As for nginx.",
    "As for nginx.",
    "It needs no filter of Odoo's log: it sees each answer. `docs/fail2ban` has a jail for its own log.",
  ),
  systemd: all("nothing to change there, the unit is Odoo's own; theirs bear the same lines."),
};

/** What a check's section says of nginx, Traefik, Caddy and us; null: nobody has written it. */
export function elsewhereOf(id: string): ElsewhereOf | null {
  return special[id] ?? usual[id.split("-", 1)[0] ?? ""] ?? null;
}

/** Ids that are written about and do not exist. */
export function strayElsewhere(): readonly string[] {
  const known = new Set(auditGroups.flatMap(([, checks]) => checks.map(({ id }) => id)));
  return Object.keys(special).filter((id) => !known.has(id));
}
