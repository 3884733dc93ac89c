import t from "tap";
import { alertNames, conditionOf } from "../../src/alert/conditions.ts";
import { bodyOf } from "../../src/alert/forms.ts";
import { type AlertMessage, testMessage } from "../../src/alert/message.ts";
import { alertFormats } from "../../src/settings/settings.ts";

const sender = { site: "erp.example.com", instance: "gw1", version: "1.2.3" };
const sinceWallMs = Date.parse("2026-12-01T03:00:12.345Z");
const firing: AlertMessage = {
  name: "OdooGatewayOdooAway",
  state: "firing",
  severity: "critical",
  sinceWallMs,
  endedWallMs: null,
  times: 1,
  isReminder: false,
  summary: "Odoo is away",
  meaning: "Odoo does not answer.",
  remedy: "Look whether it runs.",
};
const resolved: AlertMessage = {
  ...firing,
  state: "resolved",
  endedWallMs: sinceWallMs + 200_000,
  summary: "Odoo is back",
  meaning: "It was told as: Odoo is away.",
  remedy: "Nothing.",
};

const text = [
  "CRITICAL erp.example.com: Odoo is away",
  "Since 2026-12-01 03:00:12 UTC.",
  "Odoo does not answer.",
  "First: Look whether it runs.",
  "OdooGatewayOdooAway, odoo-gateway 1.2.3 on gw1",
].join("\n");
const overText = [
  "RESOLVED erp.example.com: Odoo is back",
  "From 2026-12-01 03:00:12 UTC to 2026-12-01 03:03:32 UTC (3 min).",
  "It was told as: Odoo is away.",
  "OdooGatewayOdooAway, odoo-gateway 1.2.3 on gw1",
].join("\n");

t.test("the generic form is stable", async (t) => {
  const { headers, text } = bodyOf(firing, sender, "json");
  t.equal(headers["Content-Type"], "application/json; charset=utf-8");
  t.same(JSON.parse(text), {
    name: "OdooGatewayOdooAway",
    state: "firing",
    severity: "critical",
    since: "2026-12-01T03:00:12.345Z",
    ended: null,
    times: 1,
    summary: "Odoo is away",
    meaning: "Odoo does not answer.",
    remedy: "Look whether it runs.",
    site: "erp.example.com",
    instance: "gw1",
    version: "1.2.3",
  });
  t.match(JSON.parse(bodyOf(resolved, sender, "json").text), {
    state: "resolved",
    ended: "2026-12-01T03:03:32.345Z",
  });
});

t.test("chats get a text that says what, since when, what it means and what to do", async (t) => {
  t.same(JSON.parse(bodyOf(firing, sender, "slack").text), { text });
  t.same(JSON.parse(bodyOf(resolved, sender, "slack").text), { text: overText });
  t.same(JSON.parse(bodyOf(firing, sender, "discord").text), {
    content: text,
    allowed_mentions: { parse: [] },
  });
  const again = bodyOf({ ...firing, times: 4, isReminder: true }, sender, "slack").text;
  t.match(
    JSON.parse(again).text,
    /^STILL CRITICAL .*\nSince 2026-12-01 03:00:12 UTC, 4 times since the last message\./,
  );
  t.match(
    JSON.parse(bodyOf(testMessage(0), sender, "slack").text).text,
    /^TEST erp\.example\.com: This is a test\n/,
  );
});

t.test("a name can call nobody in a chat", async (t) => {
  const evil = { ...firing, summary: "Odoo <!channel> & <https://evil.test|here>" };
  t.match(JSON.parse(bodyOf(evil, sender, "slack").text).text, /Odoo &lt;!channel&gt; &amp; &lt;https/);
});

t.test("Teams gets an adaptive card", async (t) => {
  const card = JSON.parse(bodyOf(firing, sender, "teams").text);
  t.equal(card.type, "message");
  const [{ contentType, content }] = card.attachments;
  t.equal(contentType, "application/vnd.microsoft.card.adaptive");
  t.equal(content.body.map((block: { readonly text: string }) => block.text).join("\n"), text);
});

t.test("ntfy gets plain text, and what is loud in fields of ASCII", async (t) => {
  const note = bodyOf(firing, sender, "ntfy");
  t.match(note.headers, { Title: text.split("\n")[0], Priority: "urgent", Tags: "rotating_light" });
  t.equal(note.text, text.split("\n").slice(1).join("\n"));
  t.match(bodyOf({ ...firing, severity: "warning" }, sender, "ntfy").headers, { Priority: "high" });
  t.match(bodyOf(resolved, sender, "ntfy").headers, { Priority: "default", Tags: "white_check_mark" });
  const wide = bodyOf({ ...firing, summary: "Zwei\r\nX-Evil: 1 Ümlaute" }, sender, "ntfy").headers;
  t.match(wide["Title"], /^[\u0020-\u007e]+$/);
});

t.test("the longest message fits what the strictest service takes", async (t) => {
  const long = "x".repeat(5_000);
  for (const name of alertNames) {
    const { severity, meaning, remedy } = conditionOf(name);
    const message = { ...firing, name, severity, meaning, remedy, summary: long };
    t.ok(JSON.parse(bodyOf(message, sender, "discord").text).content.length < 2_000, name);
    for (const format of alertFormats)
      t.ok(Buffer.byteLength(bodyOf(message, sender, format).text) < 3_500, format);
  }
});
