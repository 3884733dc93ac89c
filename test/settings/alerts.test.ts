import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { err, ok } from "../../src/base/result.ts";
import { loadSettings } from "../../src/settings/load.ts";

type Env = Readonly<Record<string, string>>;

function load(env: Env, files: Env = {}) {
  return loadSettings({
    env,
    cwd: "/srv",
    readFile: (path) => {
      const text = files[path.replace("/srv/", "")];
      return text === undefined ? err({ missing: true, detail: "there is no such file" }) : ok(text);
    },
  });
}

function alertsOf(env: Env, files: Env = {}) {
  const loaded = load(env, files);
  if (!loaded.ok) throw new Error(loaded.error.map(problemLine).join("\n"));
  return loaded.value.settings.alerts;
}

function problemsOf(env: Env, files: Env = {}): readonly string[] {
  const loaded = load(env, files);
  return loaded.ok ? [] : loaded.error.map(problemLine);
}

t.test("nobody is told unless an address is given", async (t) => {
  t.same(alertsOf({}), { hooks: [], afterMs: 60_000 });
  t.same(alertsOf({ ALERT_URL: "none" }).hooks, []);
  const loaded = load({ ALERT_FORMAT: "slack", ALERT_AFTER: "5m" });
  t.same(loaded.ok ? loaded.value.warnings.map(problemLine) : [], [
    "environment ALERT_FORMAT has no effect without ALERT_URL; set it, or take this out",
    "environment ALERT_AFTER has no effect without ALERT_URL; set it, or take this out",
  ]);
});

t.test("the host says how a service wants its messages, and a setting says it for others", async (t) => {
  const formatOf = (url: string, format = "auto") =>
    alertsOf({ ALERT_URL: url, ALERT_FORMAT: format }).hooks[0]?.format;
  for (const [url, format] of [
    ["https://hooks.slack.com/services/T0/B0/x", "slack"],
    ["https://chat.googleapis.com/v1/spaces/A/messages?key=k", "slack"],
    ["https://api.telegram.org/bot1:x/sendMessage?chat_id=1", "slack"],
    ["https://mattermost.example.com/hooks/x", "slack"],
    ["https://discord.com/api/webhooks/1/x", "discord"],
    ["https://discord.com/api/webhooks/1/x/slack", "slack"],
    ["https://prod-1.westeurope.logic.azure.com:443/workflows/x?sig=y", "teams"],
    ["https://acme.webhook.office.com/webhookb2/x", "teams"],
    ["https://ntfy.sh/secret-topic", "ntfy"],
    ["http://ntfy/secret-topic", "ntfy"],
    ["https://ntfy.example.com/topic", "ntfy"],
    ["https://alerts.example.com/odoo", "json"],
    ["https://slack.com.evil.example/x", "json"],
    ["https://notslack.com/x", "json"],
  ] as const)
    t.equal(formatOf(url), format, url);
  t.equal(formatOf("https://chat.example.com/hooks/x", "slack"), "slack");
  t.match(problemsOf({ ALERT_URL: "https://a.example/x", ALERT_FORMAT: "slak" }), [/did you mean slack\?/]);
});

t.test("of an address the host alone is shown", async (t) => {
  const { hooks } = alertsOf({
    ALERT_URL:
      "https://u:p@hooks.slack.com/services/T0/x,https://hooks.slack.com/services/T0/y https://a.example:8443/?k=1",
  });
  t.same(
    hooks.map(({ shown }) => shown),
    ["https://hooks.slack.com/***", "https://hooks.slack.com/*** (2)", "https://a.example:8443/***"],
  );
  t.equal(hooks[0]?.url, "https://u:p@hooks.slack.com/services/T0/x");
});

t.test("plain HTTP is for addresses and names that cannot be a stranger's", async (t) => {
  for (const url of [
    "http://127.0.0.1:8080/x",
    "http://[::1]/x",
    "http://10.1.2.3/x",
    "http://[fd00::1]/x",
    "http://localhost/x",
    "http://ntfy:80/x",
    "http://chat.local/x",
    "http://chat.corp.internal/x",
  ])
    t.equal(alertsOf({ ALERT_URL: url }).hooks.length, 1, url);
  for (const url of [
    "http://hooks.slack.com/x",
    "http://203.0.113.9/x",
    "http://[2001:db8::1]/x",
    "http://chat.example.com/x",
    "http://local.example/x",
    "http://2130706433.example/x",
  ])
    t.match(problemsOf({ ALERT_URL: url }), [/^environment ALERT_URL is plain HTTP to a place/], url);
});

t.test("a wrong address is named by its number, and never quoted", async (t) => {
  const secret = "xoxb-hunter2";
  const good = `https://a.example/${secret}`;
  for (const [url, said] of [
    [secret, /ALERT_URL must begin with https:\/\//],
    [`ftp://a.example/${secret}`, /must begin with https/],
    [`https:///${secret}`, /must begin with https/],
    [`https://a.example:99999/${secret}`, /is no URL/],
    [`https://a.example/${secret}#x`, /has a "#"/],
    [`https://a.example/${secret.repeat(300)}`, /is longer than 2048/],
    [`'${good}'`, /ALERT_URL has quotes around its value/],
    [`${good},http://b.example/${secret}`, /ALERT_URL address 2 is plain HTTP/],
    [`${good} ${good}`, /ALERT_URL address 2 is there twice/],
    [Array.from({ length: 9 }, (_, i) => `${good}${i}`).join(" "), /has more than 8 addresses/],
  ] as const) {
    const problems = problemsOf({ ALERT_URL: url });
    t.match(problems, [said], String(said));
    t.notMatch(problems.join("\n"), /hunter2/, String(said));
  }
  t.match(problemsOf({ ALERT_URLS: good }), [/ALERT_URLS is no setting; did you mean ALERT_URL\?/]);
  t.match(problemsOf({ ALERT_URL_FILE: good }), [/ALERT_URL_FILE is an address, not a file/]);
  const wrongPlaces: readonly Env[] = [
    { ALERT_URLS: good },
    { ALERT_URL_FILE: good },
    { ALERT_URL_FILE: `"${good}"` },
  ];
  for (const env of wrongPlaces) t.notMatch(problemsOf(env).join("\n"), /hunter2/);
  for (const text of [
    `[${good}`,
    `"${good}`,
    `*${secret}`,
    `{ x: ${good} }`,
    `\n  - ${good}\n - x`,
    `@${secret}`,
  ]) {
    const problems = problemsOf(
      {},
      { "gateway.yaml": `preset: standard\nalert_url: ${text}\nlog_level: info\n` },
    );
    t.ok(problems.length > 0, `${text} is refused`);
    t.notMatch(problems.join("\n"), /hunter2/, text);
  }
});

t.test("addresses may stand in gateway.yaml as a list, or in a file of their own", async (t) => {
  const [a, b] = ["https://a.example/x", "https://b.example/y"];
  const urls = (env: Env, files: Env) => alertsOf(env, files).hooks.map(({ url }) => url);
  t.same(urls({}, { "gateway.yaml": `alert_url:\n  - ${a}\n  - ${b}\n` }), [a, b]);
  t.same(urls({ ALERT_URL_FILE: "hooks" }, { hooks: `${a}\n${b}\n` }), [a, b]);
  t.match(problemsOf({ ALERT_URL_FILE: "hooks" }), [/ALERT_URL_FILE "hooks" cannot be read/]);
  t.match(problemsOf({ ALERT_URL_FILE: "hooks" }, { hooks: " \n" }), [/"hooks" holds no address/]);
  t.match(problemsOf({ ALERT_URL_FILE: "hooks" }, { hooks: `${a}\nhttp://b.example/y` }), [
    /ALERT_URL_FILE address 2 is plain HTTP/,
  ]);
  t.match(problemsOf({ ALERT_URL: a, ALERT_URL_FILE: "hooks" }, { hooks: b }), [/are both set/]);
});

t.test("how long Odoo has to be away is from a second to an hour", async (t) => {
  const after = (text: string) => ({ ALERT_URL: "https://a.example/x", ALERT_AFTER: text });
  t.equal(alertsOf(after("5m")).afterMs, 300_000);
  t.match(problemsOf(after("0s")), [/must be at least 1s/]);
  t.match(problemsOf(after("2h")), [/must be at most 1h/]);
});
