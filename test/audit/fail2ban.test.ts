import t from "tap";
import { secondsOf } from "../../src/audit/fail2ban/config.ts";
import { look, seen } from "../support/audit.ts";

const good = String.raw`^ \d+ INFO \S+ odoo\.addons\.base\.models\.res_users: Login failed for (?:db:\S+ )?login:.* from <ADDR>\s*$`;
const jail = "[odoo]\nenabled = true\nfilter = odoo\nlogpath = /var/log/odoo.log\n";

/** Looks at /etc/fail2ban with one jail and its filter. */
const folder = (failregex: string, jailText = jail, more: Readonly<Record<string, string>> = {}) =>
  look(
    { fail2ban: ["fail2ban"] },
    {
      "fail2ban/jail.local": jailText,
      "fail2ban/filter.d/odoo.conf": `[Definition]\nfailregex = ${failregex}\n`,
      ...more,
    },
  );

/** What of a filter's own file is said: outcome and words. */
async function said(text: string, id = "fail2ban-filter"): Promise<string> {
  const { findings } = await look({ fail2ban: ["odoo.conf"] }, { "odoo.conf": `[Definition]\n${text}` });
  return findings
    .filter((one) => one.id === id)
    .map((one) => `${one.outcome}: ${one.seen}`)
    .join("\n");
}

t.test("a filter is tried on the lines of Odoo 16 to 19, as fail2ban itself reads them", async (t) => {
  // Each was run by fail2ban-regex 1.0.2 on the same lines.
  const cases: readonly (readonly [failregex: string, says: RegExp])[] = [
    [good, /^pass/],
    [String.raw`^ \d+ INFO \S+ \S+ Login failed for db:\S+ login:\S+ from <HOST>`, /^fail: .*16 to 18 only/],
    [
      String.raw`^ \d+ INFO \S+ odoo.addons.base.res.res_users: Login failed for db:\S+ login:\S+ from <HOST>`,
      /^fail: .*matches no line .*; it names the logger base\.res\.res_users/,
    ],
    [".*Login failed for.*<HOST>", /^fail: .*from 203\.0\.113\.9 it bans "9"/],
    [String.raw`^ \d+ INFO \S+ \S+ Login failed for login:\S+ from <HOST>$`, /^warn: .*Odoo 19 only/],
    [String.raw`^\d+ INFO .* Login failed .* from <HOST>`, /^fail: .*matches no line/],
    ["Login (?:failed|successful) for .* from <ADDR>$", /^fail: .*successful log-ins/],
    ["(?i)login failed for .* from <IP4>", /^warn: .*IPv4 only/],
    [String.raw`Login failed for (?:db:\S+ )?login:<F-USER>.*</F-USER> from <ADDR>$`, /^pass/],
    ["Authentication failure.*<HOST>", /^fail: .*Odoo writes no such words/],
    [String.raw`Login failed for .* from (?P<host>\S+)$`, /^fail: .*matches no line/],
    ["", /^fail: .*has no failregex/],
  ];
  for (const [failregex, says] of cases) t.match(await said(`failregex = ${failregex}\n`), says, failregex);
});

t.test("several lines, ignoreregex and prefregex have their say", async (t) => {
  t.match(await said(`failregex = ^nothing <HOST>\n            ${good}\n`), /^pass/);
  t.match(await said(`failregex = ${good}\nignoreregex = login:admin\n`), /^fail: .*matches no line/);
  const prefix = String.raw`prefregex = ^ \d+ INFO \S+ \S+res_users: <F-CONTENT>.+</F-CONTENT>$`;
  t.match(await said(`${prefix}\nfailregex = ^Login failed for .* from <ADDR>$\n`), /^pass/);
  t.match(await said(`${prefix}\nfailregex = ^ Login failed for .* from <ADDR>$\n`), /^fail/);
});

t.test("who guesses cannot have another address banned by his name", async (t) => {
  const spoof = (failregex: string) => said(`failregex = ${failregex}\n`, "fail2ban-spoof");
  t.match(await spoof(good), /^pass/);
  t.match(await spoof(String.raw`Login failed for (?:db:\S+ )?login:\S+ from <HOST>`), /^fail/);
  t.match(await spoof("Login failed for .*? from <HOST>"), /^fail/);
  t.match(await spoof("Login failed for .* from <HOST>"), /^pass/);
});

t.test("variables and includes are filled in, and what is not known is said", async (t) => {
  const common = "[DEFAULT]\n_pid = \\d+\n[Definition]\n_who = login:.*\n";
  const text = "[INCLUDES]\nbefore = common.conf\n[Definition]\nend = from <ADDR>\n";
  const result = await look(
    { fail2ban: ["filter.d/odoo.conf"] },
    {
      "filter.d/odoo.conf": `${text}failregex = ^ %(_pid)s INFO .*Login failed for (?:db:\\S+ )?%(_who)s <end>$\n`,
      "filter.d/common.conf": common,
    },
  );
  t.match(seen(result, "fail2ban-filter"), [/^pass/]);
  t.match(
    await said("failregex = %(__prefix_line)sLogin failed from <HOST>\n"),
    /^skipped: .*cannot be tried here/,
  );
  t.match(await said("failregex = (?>Login) failed <HOST>\n"), /^skipped/);
  t.match(await said("failregex = %(a)s <HOST>\na = %(b)s\nb = %(a)s\n"), /^skipped/, "a circle ends");
});

t.test("a file that includes itself, and variables that grow, have an end", async (t) => {
  const includes = Array.from({ length: 60 }, () => "  odoo.conf").join("\n");
  const grown = Array.from({ length: 9 }, (_, at) => `v${at} = ${`%(v${at + 1})s`.repeat(10)}\n`).join("");
  const text = `[INCLUDES]\nbefore =\n${includes}\n[Definition]\nfailregex = %(v0)s<HOST>\n${grown}v9 = aaaaaaaaaa\n`;
  const result = await look({ fail2ban: ["odoo.conf"] }, { "odoo.conf": text });
  t.match(seen(result, "fail2ban-filter"), [/^skipped/]);
});

t.test("a pattern without end is given up", async (t) => {
  t.match(await said("failregex = ^(?:(?:[^x]+)+)+y<HOST>\n"), /^skipped/);
});

t.test("/etc/fail2ban is read in fail2ban's order, and only jails about Odoo are judged", async (t) => {
  const result = await folder(good, jail, {
    "fail2ban/jail.conf": "[DEFAULT]\nmaxretry = 50\nfindtime = 60\nbantime = 1h\n[sshd]\nport = ssh\n",
    "fail2ban/jail.d/10.conf": "[odoo]\nmaxretry = 100\n",
    "fail2ban/jail.d/20.local": "[odoo]\nmaxretry = 4\n",
    "fail2ban/filter.d/odoo.local": "[Definition]\nignoreregex = login:monitoring\n",
  });
  t.match(result.findings.find(({ id }) => id === "fail2ban-syntax")?.seen, "1 of 2 jails watch Odoo");
  t.match(
    result.findings.find(({ id }) => id === "fail2ban-limits")?.seen,
    /4 in 60 s: .*guesses 4320 times a day/,
  );
  const none = await look({ fail2ban: ["fail2ban"] }, { "fail2ban/jail.local": "[sshd]\nenabled = true\n" });
  t.match(none.findings.find(({ id }) => id === "fail2ban-syntax")?.seen, /none of them watches Odoo/);
});

t.test("comments behind values: a ; is one, a # is not", async (t) => {
  const result = await folder(
    good,
    `${jail}bantime = 900 ; 15 min\nmaxretry = 5 # tries\nignoreip = ::1 # me\n`,
  );
  t.same(seen(result, "fail2ban-syntax"), ["fail 6", "warn 7"]);
  t.same(seen(result, "fail2ban-limits"), ["pass 6"]);
});

t.test("a token of an action is in no message", async (t) => {
  const result = await folder(good, `[DEFAULT]\ncftoken = hunter2 # Cloudflare\n${jail}`);
  t.same(seen(result, "fail2ban-syntax"), ["warn 2"]);
  t.notMatch(JSON.stringify(result), "hunter2");
});

t.test("a jail that is off, one whose filter is not here, a file fail2ban cannot read", async (t) => {
  t.same(seen(await folder(good, jail.replace("enabled = true\n", "")), "fail2ban-syntax"), ["warn 3"]);
  t.same(seen(await look({ fail2ban: ["jail.local"] }, { "jail.local": jail }), "fail2ban-syntax"), [
    "skipped 4",
  ]);
  t.same(seen(await folder(good, `${jail}filter = other\n`), "fail2ban-syntax").slice(0, 1), ["fail 5"]);
  t.match((await look({ fail2ban: ["gone"] }, {})).problems, [{ place: "gone" }]);
  for (const text of ["", "x", "[", "[Definition]", "[Definition]\nfailregex", "\ufeff[odoo]\n"])
    t.ok((await look({ fail2ban: ["f"] }, { f: text })).findings.length > 0, JSON.stringify(text));
});

t.test("a filter's name never leads out of its folder", async (t) => {
  const result = await folder(good, jail.replace("filter = odoo", "filter = ../../odoo"), {
    "odoo.conf": `[Definition]\nfailregex = ${good}\n`,
  });
  t.match(result.findings.find(({ id }) => id === "fail2ban-syntax")?.outcome, "skipped");
});

t.test("the journal, syslog and Docker put something in front of Odoo's line", async (t) => {
  const loose = String.raw`res_users: Login failed for (?:db:\S+ )?login:.* from <ADDR>`;
  const outcome = async (failregex: string, path: string, backend = "auto") => {
    const text = `[odoo]\nenabled = true\nbackend = ${backend}\nlogpath = ${path}\n`;
    return seen(await folder(failregex, text), "fail2ban-filter").map((one) => one.split(" ")[0]);
  };
  const container = "/var/lib/docker/containers/*/*-json.log";
  t.same(await outcome(loose, container), ["pass"]);
  t.same(await outcome(good, container), ["fail"]);
  t.same(await outcome(good, "/var/log/syslog"), ["fail"]);
  t.same(await outcome(loose, "/var/log/syslog"), ["pass"]);
  t.same(await outcome(good, "", "systemd"), ["fail"]);
  t.same(await outcome(loose, "", "systemd[journalflags=1]"), ["pass"]);
  const proxy = "/var/log/nginx/access.log";
  t.same(await outcome(good, proxy), ["skipped"]);
  t.same(await outcome('^<HOST> - - \\[\\] "POST /web/login HTTP/[0-9.]+" 200', proxy), ["pass"]);
  t.same(await outcome('^<HOST> .* "POST /web/login', proxy), ["fail"], "303 is a right password");
});

t.test("odoo.conf says whether the line is written, where, and with whose address", async (t) => {
  const log = async (options: string, jailText = jail) => {
    const { findings } = await look(
      { fail2ban: ["jail.local"], odooConf: "odoo.conf" },
      { "jail.local": jailText, "odoo.conf": `[options]\n${options}` },
    );
    return findings
      .filter(({ id }) => id === "fail2ban-log")
      .map(({ outcome, place }) => `${outcome} ${place?.file}`);
  };
  const usual = "proxy_mode = True\nlogfile = /var/log/odoo.log\n";
  t.same(await log(usual), ["pass jail.local"]);
  t.same(await log(`${usual}log_level = warn\n`), ["fail odoo.conf"]);
  t.same(await log(`${usual}log_level = warn\nlog_handler = odoo.addons.base.models.res_users:INFO\n`), [
    "pass jail.local",
  ]);
  t.same(await log("logfile = /var/log/odoo.log\n"), ["fail odoo.conf"]);
  t.same(await log("proxy_mode = True\n"), ["warn jail.local"]);
  t.same(await log("proxy_mode = True\nlogfile = /srv/odoo.log\n"), ["warn jail.local"]);
  t.same(await log(usual, jail.replace("odoo.log", "*.log")), ["pass jail.local"]);
  t.same(await log(usual, jail.replace(/logpath.*\n/, "")), ["fail jail.local"]);
  t.same(await log("proxy_mode = True\n", `${jail}backend = systemd\n`), ["pass jail.local"]);
});

t.test("limits that leave many guesses, ban for moments or for ever, or nobody", async (t) => {
  const limits = async (text: string) => seen(await folder(good, `${jail}${text}`), "fail2ban-limits");
  t.same(await limits(""), ["pass 4"], "fail2ban's own");
  t.same(await limits("maxretry = 10\nfindtime = 60\n"), ["warn 6"]);
  t.same(await limits("bantime = 60\n"), ["warn 5"]);
  t.same(await limits("bantime = -1\n"), ["warn 5"]);
  t.same(await limits("bantime = soon\n"), ["warn 5"]);
  t.same(await limits("ignoreip = 10.0.0.0/8 0.0.0.0/0\n"), ["fail 5"]);
});

t.test("the jail and the filter of docs/fail2ban are the gateway's own", async (t) => {
  const { findings } = await look(
    { fail2ban: ["jail.local"] },
    {
      "jail.local": "[odoo-gateway]\nenabled = true\nmaxretry = 30\nlogpath = /var/log/odoo-gateway.log\n",
      "filter.d/odoo-gateway.conf":
        '[Definition]\nfailregex = "event":"strike","stream":"security","client":"<ADDR>"\n',
    },
  );
  t.same(
    findings.map(({ id, outcome }) => `${outcome} ${id}`),
    ["pass fail2ban-syntax", "skipped fail2ban-filter"],
  );
});

t.test("times are read as fail2ban reads them", async (t) => {
  const cases: readonly (readonly [string, number | null])[] = [
    ["600", 600],
    ["10m", 600],
    ["1h 30m", 5_400],
    ["1 day", 86_400],
    ["2w", 1_209_600],
    ["-1", -1],
    ["", null],
    ["m", null],
    ["10 apples", null],
  ];
  for (const [text, seconds] of cases) t.equal(secondsOf(text), seconds, text);
});
