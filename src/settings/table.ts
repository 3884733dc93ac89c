/** What kind of text a setting takes. Lists are separated by commas or spaces, or are lists in gateway.yaml. */
export type SettingType =
  | "names"
  | "url"
  | "urls"
  | "address"
  | "choice"
  | "path"
  | "networks"
  | "size"
  | "duration"
  | "count"
  | "yes/no"
  | "methods"
  | "origins"
  | "path patterns"
  | "account names"
  | "text"
  | "secret"
  | "secret urls";

/** One setting, as the documentation and the reader both see it. */
export interface SettingRow {
  /** As in the environment; in gateway.yaml the same in lower case. */
  readonly name: string;
  readonly type: SettingType;
  /** Of a choice: what may be chosen. */
  readonly choices?: readonly string[];
  /** Read like a given value when the setting is not given; null: see `defaultWords`. */
  readonly default: string | null;
  /** What holds without the setting, in words, where `default` cannot say it. */
  readonly defaultWords?: string;
  /** One line: what it does. */
  readonly meaning: string;
}

/**
 * Every setting there is, in the order of the documentation. docs/options.md and `--help` are made from it and the
 * defaults are read from it, so that neither can say something else than the program does.
 */
export const settingTable = [
  {
    name: "DOMAIN",
    type: "names",
    default: null,
    defaultWords: "localhost, 127.0.0.1, [::1]",
    meaning: "Names we serve, `name` or `name:port` (the port browsers use). The first is the canonical one.",
  },
  {
    name: "REDIRECT_DOMAINS",
    type: "names",
    default: null,
    defaultWords: "none",
    meaning: "Names that are redirected to the canonical one.",
  },
  {
    name: "ODOO_URL",
    type: "urls",
    default: null,
    defaultWords: "127.0.0.1:8069 if it answers, else the stand-in Odoo",
    meaning:
      "Where Odoo answers: `http://host:port`. Several are equal members of one database; requests go to the least busy one that is up.",
  },
  {
    name: "ODOO_BUS_URL",
    type: "urls",
    default: null,
    defaultWords: "the hosts of ODOO_URL and ODOO_BACKUP_URL, port 8072",
    meaning: "Where Odoo's gevent port (websocket, long polling) answers.",
  },
  {
    name: "ODOO_BACKUP_URL",
    type: "urls",
    default: null,
    defaultWords: "none",
    meaning: "Members that are asked only when none of ODOO_URL is up.",
  },
  {
    name: "ODOO_STICKY",
    type: "choice",
    choices: ["off", "session"],
    default: "off",
    meaning:
      "With several members: `session` sends a session to the same member as long as that is up. Needed only when members keep sessions or files apart.",
  },
  {
    name: "ODOO_RESOLVE",
    type: "duration",
    default: "10s",
    meaning:
      "How often the names in ODOO_URL are looked up again. Several addresses of one name are several members; when DNS is gone the last ones stay. At least 1s.",
  },
  {
    name: "ODOO_WORKERS",
    type: "count",
    default: null,
    defaultWords:
      "not known: nothing waits here until Odoo's listen queue overflows, and what fits is learnt",
    meaning:
      "Odoo's `workers` (each member's). Then no more requests than workers are with Odoo at once; the others wait in lanes, log-ins and people who are logged in first, crawlers last, and at most workers − 1 reports print. Above WORKERS, whose processes divide them.",
  },
  {
    name: "ODOO_LIMIT_TIME_REAL",
    type: "duration",
    default: null,
    defaultWords: "the rules' own times: 180 s, for reports, calls and files 720 s",
    meaning:
      "Odoo's `limit_time_real`, as a duration or a number of seconds, where it is longer than that: no rule then gives up on Odoo's web port sooner.",
  },
  {
    name: "ODOO_FILESTORE",
    type: "path",
    default: null,
    defaultWords: "none: Odoo sends its files itself",
    meaning:
      "Folder `filestore` in Odoo's `data_dir`, mounted read-only. With `x_sendfile = True` in odoo.conf the gateway then sends attachments and bundles from there, and no worker of Odoo's does.",
  },
  {
    name: "QUEUE_MAX",
    type: "count",
    default: "512",
    meaning:
      "Most requests that wait for a worker (without ODOO_WORKERS: for a place in an Odoo that was found full); beyond it the lowest lane is shed with 503.",
  },
  {
    name: "QUEUE_TIMEOUT",
    type: "duration",
    default: "30s",
    meaning:
      "Longest wait for a worker, or without ODOO_WORKERS for a place in an Odoo that was found full; a third of it for anonymous visitors, a tenth for crawlers. At least 1s.",
  },
  {
    name: "HOLD_TIMEOUT",
    type: "duration",
    default: "5s",
    meaning:
      "How long a request waits for an Odoo that is being restarted before it gets a page that says so; 0s: not at all.",
  },
  {
    name: "HOLD_MAX",
    type: "count",
    default: "512",
    meaning: "Most requests that wait for an Odoo that is being restarted; beyond it they are told at once.",
  },
  {
    name: "ODOO_KEEPALIVE",
    type: "yes/no",
    default: "false",
    meaning:
      "Keep connections to ODOO_URL for further requests. Only for servers in front of Odoo that want it: Odoo's own port 8069 never keeps one, and a silent connection holds a worker.",
  },
  {
    name: "HTTPS_LISTEN",
    type: "address",
    default: ":8443",
    meaning: "Where we listen for HTTPS: `host:port`, `[v6]:port`, or `:port` for every address.",
  },
  {
    name: "HTTP_LISTEN",
    type: "address",
    default: ":8080",
    meaning: "Where we listen for plain HTTP, to redirect to HTTPS; `off` opens nothing.",
  },
  {
    name: "ADMIN_LISTEN",
    type: "address",
    default: "127.0.0.1:9180",
    meaning: "Health, status and metrics, without password: keep it on loopback; `off` opens nothing.",
  },
  {
    name: "REPORT_LISTEN",
    type: "address",
    default: "off",
    meaning:
      "Plain HTTP for Odoo's own PDF maker (`report.url`): reads only, without limits, from ODOO_NETWORKS only. Keep it inside; `off` opens nothing.",
  },
  {
    name: "ODOO_NETWORKS",
    type: "networks",
    default: null,
    defaultWords: "this machine, where REPORT_LISTEN is on a loopback address",
    meaning: "Where Odoo itself asks from; who may use REPORT_LISTEN.",
  },
  {
    name: "TLS_MODE",
    type: "choice",
    choices: ["local", "files", "acme"],
    default: null,
    defaultWords: "files when TLS_CERT_FILE or TLS_KEY_FILE is set, else local",
    meaning:
      "Where the certificate comes from: a local CA of our own, the two files below, or ordered and renewed from an authority such as Let's Encrypt (ACME).",
  },
  {
    name: "TLS_CERT_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "Certificate with its chain, PEM.",
  },
  {
    name: "TLS_KEY_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "Its private key, PEM.",
  },
  {
    name: "ACME_EMAIL",
    type: "text",
    default: null,
    defaultWords: "none",
    meaning: "Mail address the authority may write to.",
  },
  {
    name: "ACME_NAMES",
    type: "names",
    default: null,
    defaultWords: "all of DOMAIN and REDIRECT_DOMAINS",
    meaning: "Names of the certificate. Here wildcards may stand (`*.example.com`); they need ACME_DNS_HOOK.",
  },
  {
    name: "ACME_DIRECTORY",
    type: "url",
    default: "production",
    meaning: "The authority's directory: an https URL, or `production` or `staging` of Let's Encrypt.",
  },
  {
    name: "ACME_FALLBACK_DIRECTORY",
    type: "url",
    default: null,
    defaultWords: "none",
    meaning:
      "A second authority, asked when the first has failed several times, or wants to be left alone for more than an hour.",
  },
  {
    name: "ACME_CA_FILE",
    type: "path",
    default: null,
    defaultWords: "the authorities Node trusts",
    meaning:
      "Authorities (PEM) that a private directory's own certificate is trusted by; with ACME_FALLBACK_DIRECTORY beside those Node trusts.",
  },
  {
    name: "ACME_PROFILE",
    type: "text",
    default: null,
    defaultWords: "the authority's default",
    meaning: "Certificate profile to ask ACME_DIRECTORY for, such as `tlsserver` or `shortlived`.",
  },
  {
    name: "ACME_EAB_KID",
    type: "text",
    default: null,
    defaultWords: "none",
    meaning:
      "Key id of the external account binding, for authorities that ask for one (ACME_DIRECTORY only).",
  },
  {
    name: "ACME_EAB_HMAC_KEY",
    type: "secret",
    default: null,
    defaultWords: "none",
    meaning: "Its key, base64url. Needed until the account is registered.",
  },
  {
    name: "ACME_EAB_HMAC_KEY_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "File with the key, instead of ACME_EAB_HMAC_KEY (Docker and systemd secrets).",
  },
  {
    name: "ACME_FALLBACK_EAB_KID",
    type: "text",
    default: null,
    defaultWords: "none",
    meaning: "Key id of the external account binding at ACME_FALLBACK_DIRECTORY.",
  },
  {
    name: "ACME_FALLBACK_EAB_HMAC_KEY",
    type: "secret",
    default: null,
    defaultWords: "none",
    meaning: "Its key, base64url.",
  },
  {
    name: "ACME_FALLBACK_EAB_HMAC_KEY_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "File with that key, instead of ACME_FALLBACK_EAB_HMAC_KEY.",
  },
  {
    name: "ACME_DNS_HOOK",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning:
      "Program that sets TXT records, called without a shell as `HOOK add|remove NAME VALUE`; exit status 0 when the record can be seen.",
  },
  {
    name: "CERTS_DIR",
    type: "path",
    default: "certs",
    meaning: "Folder for the certificates we make and keep.",
  },
  {
    name: "STATE_DIR",
    type: "path",
    default: "state",
    meaning: "Folder for what survives a restart, and for spool files.",
  },
  {
    name: "POLICIES_DIR",
    type: "path",
    default: null,
    defaultWords: "the policies shipped with the package",
    meaning: "Folder of the policy files (`*.yaml`, read in name order).",
  },
  {
    name: "PRESET",
    type: "choice",
    choices: ["standard", "strict", "staging", "nginx-guide"],
    default: "standard",
    meaning:
      "Which variant of the policy holds: for production, tightest, a password-protected copy, or the literal nginx guide.",
  },
  {
    name: "TRUSTED_PROXIES",
    type: "networks",
    default: "none",
    meaning:
      "Proxies in front of us whose `X-Forwarded-For` is believed. `cloudflare` stands for the networks Cloudflare publishes.",
  },
  {
    name: "REQUIRE_TRUSTED_PROXY",
    type: "yes/no",
    default: "false",
    meaning:
      "Close connections of everybody but TRUSTED_PROXIES, TRUSTED_NETWORKS, ADMIN_NETWORKS and this machine, before a certificate is shown: nobody goes around the CDN or firewall in front.",
  },
  {
    name: "TRUSTED_NETWORKS",
    type: "networks",
    default: "none",
    meaning: "Clients that are never limited and never banned. Loopback is not among them by itself.",
  },
  {
    name: "ADMIN_NETWORKS",
    type: "networks",
    default: "none",
    meaning: "Clients that may reach the database manager.",
  },
  {
    name: "ADMIN_ACCOUNTS",
    type: "account names",
    default: "none",
    meaning:
      "Accounts (log-in names as Odoo has them, `uid:2` for programs that call as user 2) whose passwords are tried from ADMIN_NETWORKS only; from elsewhere such a log-in, and one whose name has two readings, is refused before Odoo is asked.",
  },
  {
    name: "API_NETWORKS",
    type: "networks",
    default: null,
    defaultWords: "any; none with preset strict",
    meaning: "Clients that may use XML-RPC, JSON-RPC and JSON-2: networks, `any` or `none`.",
  },
  {
    name: "POS_NETWORKS",
    type: "networks",
    default: "none",
    meaning:
      "Clients in the LAN that may open `/pos/web` over plain HTTP; for them the session cookie goes without Secure and HSTS is not sent.",
  },
  {
    name: "BODY_MAX",
    type: "size",
    default: "128MiB",
    meaning: "Largest request body; Odoo's own bound is 128MiB. At least 1MiB.",
  },
  {
    name: "SPOOL_MAX",
    type: "size",
    default: "8GiB",
    meaning: "Most disk that all buffered bodies and answers together may take.",
  },
  {
    name: "CACHE",
    type: "yes/no",
    default: "true",
    meaning: "Keep Odoo's public files (`/web/assets/`, `/<module>/static/`) in memory.",
  },
  {
    name: "CACHE_BYTES",
    type: "size",
    default: "256MiB",
    meaning: "Most memory those files may take. An empty cache takes none.",
  },
  {
    name: "CACHE_STATIC_FRESH",
    type: "duration",
    default: "60s",
    meaning:
      "How long a kept file without a hash in its address is given out before Odoo is asked whether it has changed.",
  },
  {
    name: "COMPRESSION",
    type: "yes/no",
    default: "true",
    meaning: "Compress text (brotli, zstd, gzip) for clients that take it.",
  },
  {
    name: "EARLY_HINTS",
    type: "yes/no",
    default: "true",
    meaning:
      "Tell browsers over HTTP/2 which bundles a page will need while Odoo still makes it (103), and fetch those not in memory ahead; those of the web client while a password is typed. Needs CACHE.",
  },
  {
    name: "LOG_LEVEL",
    type: "choice",
    choices: ["debug", "info", "warn", "error", "silent"],
    default: "info",
    meaning: "Least severe event that is written.",
  },
  {
    name: "LOG_FORMAT",
    type: "choice",
    choices: ["json", "text", "combined"],
    default: "json",
    meaning:
      "One JSON object a line, or lines for people; combined: exchanges as Apache and nginx write them on standard output, everything else as JSON on standard error.",
  },
  {
    name: "LOG_ADDRESSES",
    type: "choice",
    choices: ["full", "network"],
    default: "full",
    meaning:
      "Addresses in access lines: whole, or only their network (IPv4 /24, IPv6 /48). Lines of the stream `security` keep them, for bans.",
  },
  {
    name: "ALERT_URL",
    type: "secret urls",
    default: null,
    defaultWords: "none: nobody is told",
    meaning:
      "Where a short message goes when something needs a person, and when it is over: `https://` addresses of Slack, Teams, Discord, Mattermost, ntfy or a program of yours, 8 at most. `http://` inside your own network only. Only the host of an address is ever shown.",
  },
  {
    name: "ALERT_URL_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "File with these addresses, instead of ALERT_URL (Docker and systemd secrets).",
  },
  {
    name: "ALERT_FORMAT",
    type: "choice",
    choices: ["auto", "json", "slack", "discord", "teams", "ntfy"],
    default: "auto",
    meaning:
      "How those messages are written. `auto` looks at the host of each address, and takes `json` where it knows none. `slack` is also for Mattermost, Rocket.Chat, Google Chat and Telegram.",
  },
  {
    name: "ALERT_AFTER",
    type: "duration",
    default: "60s",
    meaning: "How long Odoo has to be away before anybody is told. 1s to 1h.",
  },
  {
    name: "METHODS",
    type: "methods",
    default:
      "GET HEAD POST PUT PATCH DELETE OPTIONS PROPFIND PROPPATCH MKCOL COPY MOVE LOCK UNLOCK REPORT SEARCH",
    meaning: "Methods that are let through to the policy. TRACE and CONNECT never are.",
  },
  {
    name: "DATABASE",
    type: "text",
    default: null,
    defaultWords: "none: Odoo chooses (dbfilter)",
    meaning:
      "The one database of this site: another one in `?db=`, in a log-in or in an RPC call is refused, the selector is hidden, and `/web/database/list` is answered with this name. In gateway.yaml also for single hosts, under `hosts:`.",
  },
  {
    name: "DATABASE_MANAGER",
    type: "choice",
    choices: ["404", "403", "redirect"],
    default: "404",
    meaning: "What strangers get at `/web/database`: an error, or a redirect to the log-in page.",
  },
  {
    name: "DATABASE_SELECTOR",
    type: "choice",
    choices: ["deny", "allow"],
    default: "deny",
    meaning: "May strangers see the list of databases at `/web/database/selector`.",
  },
  {
    name: "LOGIN_BANS",
    type: "choice",
    choices: ["standard", "guide", "official", "off"],
    default: "standard",
    meaning:
      "What failed log-ins and scanners' requests lead to, beside the limit. standard: 5 failures of one address on one account in 10 minutes, or 20 of one address while most of its attempts fail, or 20 scanners' requests: 2 hours. guide: 5 failures of one address in 10 minutes: 2 hours. official: 10 in 60 seconds: 15 minutes. off: nothing. Each further ban is twice as long, up to 7 days.",
  },
  {
    name: "BAN_ANSWER",
    type: "choice",
    choices: ["page", "drop"],
    default: "page",
    meaning: "What a banned client gets: a 403 that says until when, or a closed connection.",
  },
  {
    name: "FAKE_CRAWLERS",
    type: "choice",
    choices: ["off", "slow", "strike"],
    default: "off",
    meaning:
      "Ask DNS whether who says he is the crawler of Google, Bing, Apple, Yandex, Baidu, Seznam or Amazon is. slow: one that is not gets one request a second (20 more at once) and, when Odoo is busy, what everybody else leaves. strike: each of its requests is a scanner's, too, and LOGIN_BANS bans for that. Real ones gain nothing. The addresses of those who say so go to this machine's resolver.",
  },
  {
    name: "HSTS_MAX_AGE",
    type: "duration",
    default: "1y",
    meaning: "How long browsers insist on HTTPS: a duration, or a number of seconds.",
  },
  {
    name: "HSTS_RAMP",
    type: "yes/no",
    default: "false",
    meaning:
      "For a new site: begin with 5 minutes and grow by itself, after a day to a day, after a week more to 30 days, after 30 days more to HSTS_MAX_AGE. A certificate that cannot be had or runs out lets the days of a step count anew.",
  },
  {
    name: "HSTS_SUBDOMAINS",
    type: "yes/no",
    default: "true",
    meaning: "HSTS holds for all subdomains too.",
  },
  {
    name: "HSTS_PRELOAD",
    type: "yes/no",
    default: "false",
    meaning: "Ask for the browsers' built-in list. Hard to undo; needs a year and the subdomains.",
  },
  {
    name: "WEBSOCKET_ORIGINS",
    type: "origins",
    default: null,
    defaultWords: "none but our own names",
    meaning: "Other sites whose pages may open a websocket: `https://shop.example.com`.",
  },
  {
    name: "CSP_SCRIPT_SRC",
    type: "origins",
    default: null,
    defaultWords: "none but those Odoo's own modules use",
    meaning:
      "Other sites whose scripts pages may load (figures, chats, modules from elsewhere): `https://cdn.example.com`, `https://*.example.com`. Added to the policy that preset strict enforces and the others report.",
  },
  {
    name: "CSP_REPORTS",
    type: "yes/no",
    default: "true",
    meaning:
      "Ask browsers to report to the gateway what the content security policy blocks or, where it is only reported, would block; `odoo-gateway csp` shows it. Preset nginx-guide keeps that guide's headers and asks for none.",
  },
  {
    name: "UPGRADE_INSECURE",
    type: "yes/no",
    default: "false",
    meaning:
      "Tell browsers to load what pages name with http:// over https (`upgrade-insecure-requests`): pictures and links of a site that was plain HTTP once.",
  },
  {
    name: "STAGING_USER",
    type: "text",
    default: null,
    defaultWords: "none; required with preset staging",
    meaning: "User of the password prompt that hides a staging copy.",
  },
  {
    name: "STAGING_PASSWORD",
    type: "secret",
    default: null,
    defaultWords: "none; required with preset staging",
    meaning: "Its password, at least 8 characters.",
  },
  {
    name: "STAGING_PASSWORD_FILE",
    type: "path",
    default: null,
    defaultWords: "none",
    meaning: "File with the password, instead of STAGING_PASSWORD (Docker and systemd secrets).",
  },
  {
    name: "STAGING_EXEMPT",
    type: "path patterns",
    default: "/payment/**",
    meaning:
      "Paths that ask for no staging password (webhooks: `/web/hook/**`); `none` exempts nothing. Behind two letters, which could be a language, the rest has to be named as well: `/my/x /x`.",
  },
  {
    name: "STAGING_NEUTRALIZED",
    type: "yes/no",
    default: "false",
    meaning:
      "With preset staging: 503 for everybody but ADMIN_NETWORKS, webhooks included, until Odoo's log-in page shows that the database was neutralised (`odoo-bin neutralize`, Odoo 16 on).",
  },
  {
    name: "MAINTENANCE_PAGE",
    type: "path",
    default: null,
    defaultWords: "a page of our own",
    meaning:
      "HTML file shown to browsers during maintenance, at most 256KiB, read again at a reload. Places to fill: `{{message}}`, `{{until}}`, `{{retry_after}}` (seconds), `{{exchange}}`.",
  },
  {
    name: "CONNECTIONS_PER_CLIENT",
    type: "count",
    default: "512",
    meaning: "Most connections of one client address (IPv6: of one /64).",
  },
  {
    name: "TUNNELS_PER_CLIENT",
    type: "count",
    default: "256",
    meaning: "Most websockets of one client address (IPv6: of one /64).",
  },
  {
    name: "TUNNELS_PER_SESSION",
    type: "count",
    default: "64",
    meaning: "Most websockets of one session that logged in, from all addresses together.",
  },
  {
    name: "DRAIN_TIMEOUT",
    type: "duration",
    default: "30s",
    meaning: "How long running requests may take to finish when we are told to stop.",
  },
  {
    name: "WORKERS",
    type: "count",
    default: "1",
    meaning:
      "Processes that serve, on one port; one for each processor core at most. Above 1 another process looks after them.",
  },
  {
    name: "GATEWAY_FILE",
    type: "path",
    default: null,
    defaultWords: "gateway.yaml, if it exists",
    meaning:
      "The file with settings that are not in the environment; can itself only stand in the environment.",
  },
] as const satisfies readonly SettingRow[];

export type SettingName = (typeof settingTable)[number]["name"];

export const settingNames: readonly SettingName[] = settingTable.map((row) => row.name);

const rowsByName = new Map<string, SettingRow>(settingTable.map((row) => [row.name, row]));

/** The row of a setting. */
export function settingRow(name: SettingName): SettingRow {
  const row = rowsByName.get(name);
  if (row === undefined) {
    throw new Error(`setting ${name} has no row in the table`);
  }
  return row;
}

/** Is this text the name of a setting, in the environment's spelling. */
export function isSettingName(text: string): text is SettingName {
  return rowsByName.has(text);
}

/** May a value of this type stand in no message. */
export function isSecretType(type: SettingType): boolean {
  return type === "secret" || type === "secret urls";
}

/** Does a setting take several values. */
export function isListType(type: SettingType): boolean {
  switch (type) {
    case "names":
    case "urls":
    case "networks":
    case "methods":
    case "origins":
    case "path patterns":
    case "account names":
    case "secret urls":
      return true;
    case "url":
    case "address":
    case "choice":
    case "path":
    case "size":
    case "duration":
    case "count":
    case "yes/no":
    case "text":
    case "secret":
      return false;
  }
}
