/** Who is to look at once, and who when he comes in. */
export type Severity = "critical" | "warning";

/** What people are told of one condition, in words that need no knowledge of the gateway. None holds a name or an address of anybody. */
export interface Condition {
  readonly severity: Severity;
  /** What it is, without a full stop; figures may come behind it. */
  readonly title: string;
  /** What is told when it is over. */
  readonly over: string;
  readonly meaning: string;
  /** The first thing to do. */
  readonly remedy: string;
}

/**
 * Everything that is told: a closed list. The names are those of docs/prometheus/alerts.yml, where the same conditions stand for who has
 * Prometheus; what needs nobody at night is there alone.
 */
export const conditions = {
  OdooGatewayOdooAway: {
    severity: "critical",
    title: "Odoo is away",
    over: "Odoo is back",
    meaning: "Odoo does not answer. People see a page that says so, programs get errors.",
    remedy:
      "Look whether Odoo and its database run (systemctl status odoo, docker ps), whether the disk is full, and at the end of Odoo's log.",
  },
  OdooGatewayOdooFails: {
    severity: "critical",
    title: "Odoo does not answer properly",
    over: "Odoo answers properly again",
    meaning:
      "More than one request in twenty gets no proper answer of Odoo, or Odoo takes connections and says nothing.",
    remedy:
      "Look at Odoo's log and at its database; the upstream-failed lines of the gateway's log name the failure.",
  },
  OdooGatewayServerErrors: {
    severity: "warning",
    title: "Many requests end with a server error",
    over: "Requests end well again",
    meaning: "More than one request in ten ends with an error of Odoo, often because its database is gone.",
    remedy: "Look at the last errors in Odoo's log, and whether PostgreSQL runs.",
  },
  OdooGatewaySheds: {
    severity: "warning",
    title: "Odoo has more to do than workers",
    over: "Odoo keeps up again",
    meaning: "Requests of people are turned away with 503 because no worker is free in time.",
    remedy:
      "Look what keeps Odoo busy (a report, an import, a scheduled action) before you give it more workers.",
  },
  OdooGatewayMemberDown: {
    severity: "warning",
    title: "A member of several is down",
    over: "All members are up again",
    meaning: "The others have its requests. When they fail too, the site is down.",
    remedy: "Look whether Odoo runs there, and at its log.",
  },
  OdooGatewayBusDown: {
    severity: "warning",
    title: "Odoo's bus is away",
    over: "Odoo's bus is back",
    meaning:
      "Websockets fail, or go to Odoo's web port: Discuss, notifications and points of sale learn nothing by themselves.",
    remedy:
      "Look whether Odoo's gevent process runs, at gevent_port and http_interface in odoo.conf, and at ODOO_BUS_URL.",
  },
  OdooGatewayNotReady: {
    severity: "warning",
    title: "The gateway is not ready",
    over: "The gateway is ready",
    meaning: "Browsers are shown a certificate that they refuse, or nothing is served at all.",
    remedy:
      "Ask odoo-gateway certs for the last failure and the next try; the certificate-failed and workers lines of the log say why.",
  },
  OdooGatewayCertificateEnds: {
    severity: "critical",
    title: "A certificate ends",
    over: "The certificate was renewed",
    meaning: "From its end on every browser and program refuses the site.",
    remedy: "Ask odoo-gateway certs why it was not renewed; put new files in the place of your own ones.",
  },
  OdooGatewayCertificateFails: {
    severity: "warning",
    title: "The certificate cannot be renewed",
    over: "The certificate was renewed",
    meaning:
      "The authority refuses, or cannot reach the gateway. The certificate in use holds until its end.",
    remedy:
      "Ask odoo-gateway certs for the authority's own words; look whether ports 80 and 443 lead here, and at DNS.",
  },
  OdooGatewayGuessing: {
    severity: "warning",
    title: "Somebody is guessing passwords",
    over: "The guessing has stopped",
    meaning: "More than 100 wrong passwords in 10 minutes. Limits and bans slow it down.",
    remedy:
      "Look at odoo-gateway bans and the login lines of the log; see that administrators have a second factor, or name them in ADMIN_ACCOUNTS.",
  },
  OdooGatewayManyBans: {
    severity: "warning",
    title: "Many addresses are banned",
    over: "The bans have become fewer",
    meaning:
      "More than 50 bans in an hour: an attack from many addresses, or a proxy in front that is missing in TRUSTED_PROXIES.",
    remedy: "Look at odoo-gateway bans whether your own people are among them; bans remove ends one.",
  },
  OdooGatewayPaymentsFail: {
    severity: "critical",
    title: "Payments fail",
    over: "Payments have not failed for 15 minutes",
    meaning: "Customers on their way to pay, or calls of payment providers, got an error of the server.",
    remedy:
      "Look at the payment-failed lines of the log, which name the provider, and at Odoo's log at that time; providers show undelivered calls, too.",
  },
  OdooGatewaySessionMoved: {
    severity: "warning",
    title: "A session looks like one in two hands",
    over: "No further session for 15 minutes",
    meaning:
      "Somebody may use a copied cookie. Nothing was refused, for a person who travels looks almost the same.",
    remedy:
      "Look at the session-moved line of the log and at the login line of the same account; ask the person, and let him log out of all devices.",
  },
  OdooGatewaySpoolFull: {
    severity: "warning",
    title: "The disk of STATE_DIR is nearly full",
    over: "The disk of STATE_DIR has room again",
    meaning: "Large uploads get 503, and bans and maintenance may not survive a restart.",
    remedy: "Free the disk (df -h), or raise SPOOL_MAX where the disk has room.",
  },
  OdooGatewayReloadRefused: {
    severity: "warning",
    title: "A reload was refused",
    over: "A reload was put in place",
    meaning: "What was before holds on. A restart may not come up with these files.",
    remedy: "Run odoo-gateway validate; the reload-refused line of the log has every problem with its place.",
  },
  OdooGatewayLogLinesLost: {
    severity: "warning",
    title: "Log lines are lost",
    over: "No more log lines are lost",
    meaning: "Nobody reads the gateway's standard output, or its disk is full.",
    remedy: "Look at the disk of the log, and at what reads it (journald, Docker).",
  },
  OdooGatewayMaintenanceForgotten: {
    severity: "warning",
    title: "Maintenance has been on for six hours",
    over: "Maintenance is off",
    meaning: "Everybody but the allowed networks gets 503, and no end was announced.",
    remedy: "odoo-gateway maintenance off, or on again with --for.",
  },
  OdooGatewayWorkerLost: {
    severity: "warning",
    title: "A process of the gateway ended without being told to",
    over: "The gateway's processes have run for 15 minutes",
    meaning: "Its connections were lost, and another one took its place.",
    remedy:
      "Look at the workers and error lines of the log, and whether the machine ran out of memory (dmesg, docker inspect).",
  },
  OdooGatewayInternalError: {
    severity: "warning",
    title: "The gateway met a mistake of its own",
    over: "No such mistake for 15 minutes",
    meaning: "One request, or one piece of work, ended with it; the rest is served on.",
    remedy: "Look at the error lines of the log, and report them with the version.",
  },
} as const satisfies Readonly<Record<string, Condition>>;

export type AlertName = keyof typeof conditions;
export const alertNames = Object.keys(conditions) as readonly AlertName[];

export function conditionOf(name: AlertName): Condition {
  return conditions[name];
}
