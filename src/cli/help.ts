import { checkBounds } from "../check/bounds.ts";

/** Help texts: each fits one screen of 24 lines and 80 columns. */
export const mainHelp = `odoo-gateway: the HTTPS gateway for Odoo

Usage: odoo-gateway [command] [options]

Commands:
  run          serve HTTPS in front of Odoo (the default)
  demo         start only the stand-in Odoo that run and the tests use
  validate     check settings and policies, print every problem, change nothing
  explain      show what happens to a request, rule by rule, and why
  check        look at any Odoo site from outside, whatever stands in front
  audit        read odoo.conf, compose, PostgreSQL, nginx… files, from inside
  certs        certificates, days left, next renewal; certs ca: the local CA
  bans         list, add and remove bans of the running gateway
  cache        how full the running gateway's cache is; cache clear: empty it
  csp          what the content security policy met; csp suggest: what to set
  maintenance  close the site for everybody but some networks, and open it
  alert        what people were told (ALERT_URL); alert test: does it arrive
  health       exit 0 when the running gateway answers (for HEALTHCHECK)

Settings come from the environment and gateway.yaml; the usual ones:
  DOMAIN=erp.example.com              names to serve, the first is canonical
  ODOO_URL=http://127.0.0.1:8069      where Odoo answers
  TLS_MODE=local|files|acme           own CA, your PEM files, Let's Encrypt
All (HTTPS_LISTEN, PRESET, …): docs/options.md. Help: odoo-gateway run --help
`;

export const runHelp = `odoo-gateway run: serve HTTPS in front of Odoo

Usage: odoo-gateway run

Everything is said by settings (docs/options.md). Without ODOO_URL it uses
127.0.0.1:8069, and when nothing answers there, the built-in stand-in Odoo.

Signals:
  SIGTERM, SIGINT  stop: no new connection, running exchanges finish within
                   DRAIN_TIMEOUT, websockets are closed with 1001
  SIGHUP           read policies, certificates and gateway.yaml again; with a
                   problem in them the old ones stay and the log says why
  SIGUSR2          with WORKERS above 1: new workers take over one by one, no
                   request is lost

Admin listener (ADMIN_LISTEN): /healthz, /readyz, /status, /metrics

Exit status: 0 stopped, 1 a problem in the settings or policies (all printed)
`;

export const demoHelp = `odoo-gateway demo: a stand-in Odoo for trying the gateway and for tests

Usage: odoo-gateway demo [--host 127.0.0.1] [--port 8069] [--bus-port 8072]
                         [--workers 2]

It behaves on the wire as Odoo 19 does: one request a connection on the web
port, workers held by silent sockets, websockets on the bus port. Log in as
admin/admin, demo/demo, portal/portal or carol/carol (code 123456).
It stores nothing. Never put it where strangers can reach it.
`;

export const validateHelp = `odoo-gateway validate: check settings and policies, change nothing

Usage: odoo-gateway validate

Reads the environment, gateway.yaml, the policy files and (TLS_MODE=files)
the certificate. Prints every problem with its place and remedy, and warnings.

Exit status: 0 no problem, 1 problems
`;

export const explainHelp = `odoo-gateway explain: what happens to a request, and why

Usage: odoo-gateway explain "METHOD /path?query" [options]

Options:
  --from ADDRESS   client address (default 203.0.113.9)
  --host NAME      host asked for (default: the first DOMAIN)
  --session KIND   none, present, or known (seen to log in); default none
  --agent TEXT     its User-Agent
  --websocket      the request is a WebSocket handshake
  --plain          the request comes over plain HTTP

Prints how the path is read, every rule tried with the reason it did or did
not match, the verdict, its file and line, its limits, and why it is there.
Uses the same settings as run.

Example: odoo-gateway explain "POST /fr/web/login" --from 203.0.113.9
`;

export const checkHelp = `odoo-gateway check: the outside view of an Odoo site, whatever proxy it has

Usage: odoo-gateway check https://erp.example.com [options]

Only looks: at most ${checkBounds.requestsMax} requests, none that changes anything, no password.
  --address IP[:PORT]   connect there instead of where DNS says (staging)
  --ca FILE             trust these authorities too (PEM)
  --http-port PORT      where plain HTTP is served, when HTTPS is not on 443
  --direct-ports LIST   ports that must be closed (default 8069,8072,5432)
  --login-canary        also send wrong guesses, and try admin/admin, demo/demo
  --from IP             connect from this address of the machine
  --timeout DURATION    end after this long (default 120s)
  --only IDS, --skip IDS, --list   which checks: ids with commas, tls-* too
  --json --sarif --html --junit    instead of the table; =FILE: beside it
  --since FILE          an earlier --json: say what changed since

Each id is explained in docs/checks. A score is not made, counts are.
Exit status: 0 nothing fails, 1 something fails, 2 could not look, or not at
all of it
`;

export const certsHelp = `odoo-gateway certs: the certificates of the served names

Usage: odoo-gateway certs
       odoo-gateway certs ca

Without a word it lists from disk, changing nothing: names, issuer, days left,
next renewal, last failure and next try.

With "ca" (TLS_MODE=local) it prints the local CA to standard output, and to
standard error how Debian, macOS, Windows and Firefox come to trust it:
  odoo-gateway certs ca > odoo-gateway-ca.pem

Exit status: 0 fine, 1 a certificate is missing or cannot be used
`;

export const cacheHelp = `odoo-gateway cache: Odoo's public files in memory

Usage: odoo-gateway cache [show]
       odoo-gateway cache clear

Asks the running gateway through ADMIN_LISTEN. Files with a hash in their
address never need clearing; others are looked at again by themselves after
CACHE_STATIC_FRESH (docs/operations.md).

Exit status: 0 done, 1 no gateway, 2 not understood
`;

export const cspHelp = `odoo-gateway csp: what browsers report of the content security policy

Usage: odoo-gateway csp [list] [--json]
       odoo-gateway csp suggest [--all]
       odoo-gateway csp clear

list     directive, source, reports, clients, first, last, and a page
suggest  what PRESET=strict would have blocked, the CSP_SCRIPT_SRC line that
         lets its scripts pass, and what to do about the rest; only what two
         clients or more reported, with --all what one did, too
clear    forget what was reported, as a restart does

Asks the running gateway through ADMIN_LISTEN. Anybody can forge reports: set
nothing you do not recognise. No reports: CSP_REPORTS in docs/options.md.

Exit status: 0 done, 1 no gateway, 2 not understood
`;

export const bansHelp = `odoo-gateway bans: who is banned, and changing it

Usage: odoo-gateway bans [list] [--json]
       odoo-gateway bans add <address> [duration]     24h when left out, up to 1y
       odoo-gateway bans remove <address>

Asks the running gateway through ADMIN_LISTEN. An IPv6 address stands for its
/64. What leads to bans: LOGIN_BANS in docs/options.md.

Exit status: 0 done, 1 not banned or no gateway, 2 not understood
`;

export const maintenanceHelp = `odoo-gateway maintenance: close the site on purpose, and open it again

Usage: odoo-gateway maintenance on [options]
       odoo-gateway maintenance off
       odoo-gateway maintenance [status]

Options of "on" (given again, they replace what held):
  --allow NETWORK   address or CIDR that is let through; may be repeated
  --link            prints what lets a browser in: any page, opened once with it
  --message TEXT    one line for people and programs
  --for 30m         ends by itself after this time, up to 30d
  --until MOMENT    ... at this moment: 2026-12-01T18:00 (or with Z, +01:00)

Everybody else gets 503 with Retry-After: a page (MAINTENANCE_PAGE), or an
error in the shape of the RPC they speak; websockets are closed. /web/health
stays 200. Asks the running gateway through ADMIN_LISTEN; a restart keeps it.

Exit status: 0 done, 1 not done or no gateway, 2 not understood
`;

export const auditHelp = `odoo-gateway audit: the inside view, from files and a server

Usage: odoo-gateway audit --odoo-conf FILE [options]

  --odoo-conf FILE         odoo.conf    --compose FILE   compose.yaml (repeat)
  --pg-hba FILE            pg_hba.conf  --nginx FILE     nginx site (repeat)
  --postgresql-conf FILE   --systemd FILE   a unit of Odoo, with its drop-ins
  --fail2ban PATH          /etc/fail2ban, or a file of jails or filters (repeat)
  --backup PATH            folder of backups: how old, large, complete (repeat)
  --pg-dsn DSN             a server, and Odoo's own database in it: accounts and
                           settings; read-only (PGPASSWORD)
  --host NAME, --db NAME   served names and databases, for dbfilter (repeat);
                           without --host: DOMAIN of the gateway's settings
  --cores N, --memory 8GiB   of Odoo's machine; without: of this one
  --env FILE               variables of compose and of the gateway (.env)
  --json --sarif --html --junit    instead of the table; =FILE writes a file
  --only IDS, --skip IDS, --list   which checks: ids with commas, conf-* too
  --since FILE             an earlier --json: say what changed since

Reads only. Limits are compared with the gateway's settings when they are here
(environment, .env, gateway.yaml). Each id is explained in docs/checks.

Exit status: 0 nothing fails, 1 something does, 2 not understood, or something
could not be read
`;

export const healthHelp = `odoo-gateway health: does the running gateway answer

Usage: odoo-gateway health

Asks /healthz on ADMIN_LISTEN, for HEALTHCHECK and scripts; says nothing when
all is well. Whether exchanges should be sent here, with reasons: /readyz on
the same address.

Exit status: 0 it answers, 1 it does not, or ADMIN_LISTEN is off
`;

export const alertHelp = `odoo-gateway alert: who is told when something needs a person

Usage: odoo-gateway alert [status]
       odoo-gateway alert test

ALERT_URL names the addresses that get a short message when Odoo is away, a
certificate ends, a disk is full … and another when it is over. Their secret
part is shown nowhere.
  status  asks the running gateway (ADMIN_LISTEN): what people were told and is
          not over, what waits, what each address answered last
  test    sends a test to every address and prints what came back. The running
          gateway sends it; where none runs, this command does, by the settings
          it finds here

What is told, and examples for Slack, Teams and ntfy: docs/operations.md.

Exit status: 0 done, every address took the test; 1 not, or ALERT_URL is not
set; 2 misspelt
`;
