import { isPrivate, parseIp } from "../base/ip.ts";
import { ok } from "../base/result.ts";
import { complain, type Read, shown } from "./complaint.ts";
import type { ReadFile } from "./read-file.ts";
import type { SettingReader } from "./reader.ts";
import { type AlertFormat, type AlertHook, type AlertSettings, alertFormats } from "./settings.ts";
import type { SettingName } from "./table.ts";
import { readChoice, readDurationMs } from "./values.ts";

/** Most addresses, and the longest of them. */
const hooksMax = 8;
const urlCharsMax = 2_048;
const afterMsLeast = 1_000;
const afterMsMost = 3_600_000;

/**
 * Reads where messages to people go. The addresses come from the setting or from a file, never from both, and are quoted in no message:
 * the hooks of chats carry their tokens in the path.
 */
export function readAlerts(
  reader: SettingReader,
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): AlertSettings {
  const format = reader.one("ALERT_FORMAT", (text) =>
    readChoice<AlertFormat | "auto">(text, ["auto", ...alertFormats]),
  );
  const afterMs = reader.one("ALERT_AFTER", readAfterMs);
  if (reader.has("ALERT_URL") && reader.has("ALERT_URL_FILE")) {
    reader.complain("ALERT_URL", { thing: "and ALERT_URL_FILE are both set", remedy: "set one of them" });
    return { hooks: [], afterMs };
  }
  const { name, items } = givenUrls(reader, path, readFile);
  const hooks = readHooks(reader, name, items, format);
  if (!reader.has("ALERT_URL") && !reader.has("ALERT_URL_FILE"))
    for (const stray of ["ALERT_FORMAT", "ALERT_AFTER"] as const)
      if (reader.has(stray))
        reader.warn(stray, { thing: "has no effect without ALERT_URL", remedy: "set it, or take this out" });
  return { hooks, afterMs };
}

interface GivenUrls {
  readonly name: SettingName;
  /** Without a place: where the setting itself stands. */
  readonly items: readonly { readonly text: string; readonly place?: string }[];
}

function givenUrls(
  reader: SettingReader,
  path: (text: string) => Read<string>,
  readFile: ReadFile,
): GivenUrls {
  if (!reader.has("ALERT_URL_FILE")) {
    const items = reader.items("ALERT_URL");
    const isNone = items.length === 1 && items[0]?.text.toLowerCase() === "none";
    return { name: "ALERT_URL", items: isNone ? [] : items };
  }
  const name = "ALERT_URL_FILE";
  const texts = reader.maybe(name, (text): Read<readonly string[]> => {
    // Put there by mistake; it is as secret as in the other setting.
    if (text.includes("://")) return complain("is an address, not a file", "write it as ALERT_URL");
    const absolute = path(text);
    if (!absolute.ok) return absolute;
    const read = readFile(absolute.value);
    if (!read.ok)
      return complain(`${shown(text)} cannot be read: ${read.error.detail}`, "name a readable file");
    const found = read.value.split(/[\s,]+/).filter((one) => one !== "");
    return found.length > 0
      ? ok(found)
      : complain(`${shown(text)} holds no address`, "write one a line, or take it out");
  });
  return { name, items: (texts ?? []).map((text) => ({ text })) };
}

function readHooks(
  reader: SettingReader,
  name: SettingName,
  items: GivenUrls["items"],
  format: AlertFormat | "auto",
): readonly AlertHook[] {
  if (items.length > hooksMax) {
    reader.complain(name, { thing: `has more than ${hooksMax} addresses`, remedy: "" });
    return [];
  }
  const hooks: AlertHook[] = [];
  for (const [at, { text, place }] of items.entries()) {
    // Of several, the number says which: the address itself must not.
    const which = items.length === 1 ? "" : `address ${at + 1} `;
    const url = readHookUrl(text);
    if (!url.ok) {
      reader.complain(name, { thing: `${which}${url.error.thing}`, remedy: url.error.remedy }, place);
      continue;
    }
    const { href } = url.value;
    if (hooks.some((one) => one.url === href)) {
      reader.complain(name, { thing: `${which}is there twice`, remedy: "name it once" }, place);
      continue;
    }
    const masked = maskedUrl(url.value);
    const same = hooks.filter((one) => one.shown.startsWith(masked)).length;
    hooks.push({
      url: href,
      shown: same === 0 ? masked : `${masked} (${same + 1})`,
      format: format === "auto" ? formatFor(url.value) : format,
    });
  }
  return hooks;
}

/**
 * An address that may get messages. Plain HTTP would show its token, and what is wrong here, to everybody on the way: it is for
 * addresses and names that cannot be anybody else's.
 */
function readHookUrl(text: string): Read<URL> {
  if (text.length > urlCharsMax) return complain(`is longer than ${urlCharsMax} characters`);
  if (!/^https?:\/\/[^/?#\\]/i.test(text))
    return complain("must begin with https://", "copy the whole address");
  const url = /[\u0000-\u0020\u007f]/.test(text) ? null : URL.parse(text);
  if (url === null || url.hostname === "") return complain("is no URL", "copy the whole address");
  if (url.hash !== "") return complain('has a "#", which is never sent', "write it as %23, or leave it out");
  if (url.protocol === "http:" && !isInside(url.hostname)) {
    return complain(
      "is plain HTTP to a place that may be outside: everybody on the way could read it and write there",
      "use https://, or a private address or a name without a dot for a server of your own network",
    );
  }
  return ok(url);
}

/** A private address, a container's or host's bare name, or a name that DNS of the internet never has (RFC 6761, 6762, 8375; .internal). */
function isInside(hostname: string): boolean {
  const ip = parseIp(hostname.replace(/^\[|\]$/g, ""));
  if (ip !== null) return isPrivate(ip);
  return !hostname.includes(".") || /\.(?:localhost|local|internal|home\.arpa)$/.test(hostname);
}

/** What of an address may be shown: its beginning, without user, path and query. */
function maskedUrl({ protocol, host }: URL): string {
  return `${protocol}//${host}/***`;
}

/** How the service at this host wants it; `json` where it is none of them. */
function formatFor({ hostname, pathname }: URL): AlertFormat {
  const is = (...names: readonly string[]) =>
    names.some((name) => hostname === name || hostname.endsWith(`.${name}`));
  if (is("slack.com", "slack-gov.com", "api.telegram.org", "chat.googleapis.com")) return "slack";
  if (is("discord.com", "discordapp.com")) return pathname.endsWith("/slack") ? "slack" : "discord";
  // Workflows (Power Automate), and the connectors before them.
  if (is("logic.azure.com", "powerplatform.com", "webhook.office.com", "webhook.office365.com"))
    return "teams";
  if (is("ntfy.sh") || hostname === "ntfy" || hostname.startsWith("ntfy.")) return "ntfy";
  if (hostname === "mattermost" || hostname.startsWith("mattermost.") || is("cloud.mattermost.com"))
    return "slack";
  return "json";
}

function readAfterMs(text: string): Read<number> {
  const ms = readDurationMs(text, afterMsMost, "1h");
  return ms.ok && ms.value < afterMsLeast ? complain(`${shown(text)} must be at least 1s`) : ms;
}
