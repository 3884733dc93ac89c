import { ok } from "../base/result.ts";
import { complain, type Read, shown } from "./complaint.ts";
import { readUpstream } from "./hosts.ts";
import type { SettingReader } from "./reader.ts";
import type { Settings, UpstreamAddress } from "./settings.ts";
import type { SettingName } from "./table.ts";
import { readChoice, readCount, readDurationMs, readSeconds } from "./values.ts";

/** Most members one setting may name. */
export const membersMax = 32;
const workersMost = 1_000;
const waitingMost = 100_000;
/** A rule's own time is 24 h at most. */
const timeLimitSecondsMost = 23 * 3_600;

type MemberSettings = Pick<
  Settings,
  | "odoo"
  | "odooMore"
  | "odooBus"
  | "odooBusMore"
  | "odooBackup"
  | "odooSticky"
  | "odooResolveMs"
  | "odooTimeLimitMs"
  | "odooWorkers"
  | "queueMax"
  | "queueTimeoutMs"
  | "holdTimeoutMs"
  | "holdMax"
>;

/** Where Odoo is, how many of it there are, and how long requests wait for it. */
export function readMembers(reader: SettingReader): MemberSettings {
  const [odoo = null, ...odooMore] = readUrls(reader, "ODOO_URL", []);
  const [odooBus = null, ...odooBusMore] = readUrls(reader, "ODOO_BUS_URL", []);
  const members = odoo === null ? odooMore : [odoo, ...odooMore];
  return {
    odoo,
    odooMore,
    odooBus,
    odooBusMore,
    odooBackup: readUrls(reader, "ODOO_BACKUP_URL", members),
    odooSticky: reader.one("ODOO_STICKY", (text) => readChoice(text, ["off", "session"])),
    odooResolveMs: reader.one("ODOO_RESOLVE", (text) =>
      atLeastSecond(readDurationMs(text, 3_600_000, "1h"), text),
    ),
    odooWorkers: reader.maybe("ODOO_WORKERS", (text) => readCount(text, workersMost)),
    odooTimeLimitMs: reader.maybe("ODOO_LIMIT_TIME_REAL", readTimeLimitMs),
    queueMax: reader.one("QUEUE_MAX", (text) => readCount(text, waitingMost)),
    queueTimeoutMs: reader.one("QUEUE_TIMEOUT", (text) =>
      atLeastSecond(readDurationMs(text, 600_000, "10m"), text),
    ),
    holdTimeoutMs: reader.one("HOLD_TIMEOUT", (text) => readDurationMs(text, 600_000, "10m")),
    holdMax: reader.one("HOLD_MAX", (text) => readCount(text, waitingMost)),
  };
}

function readTimeLimitMs(text: string): Read<number> {
  const seconds = readSeconds(text);
  if (!seconds.ok) return complain(seconds.error.thing, "write it as odoo.conf does: 1200, or 20m");
  return seconds.value >= 1 && seconds.value <= timeLimitSecondsMost
    ? ok(seconds.value * 1_000)
    : complain(`${shown(text)} must be from 1s to 23h`, "leave it out where Odoo has no limit");
}

/** Each URL read by itself; twice the same would count one Odoo as two. */
function readUrls(
  reader: SettingReader,
  name: SettingName,
  others: readonly UpstreamAddress[],
): readonly UpstreamAddress[] {
  const seen = new Set(others.map(({ host, port }) => `${host}:${port}`));
  const found: UpstreamAddress[] = [];
  const items = reader.items(name);
  if (items.length === 1 && items[0]?.text.toLowerCase() === "none") {
    // A host of that name, or what the documentation says where none is named: only a backup can be none.
    if (name !== "ODOO_BACKUP_URL")
      reader.complain(name, { thing: "names nothing", remedy: "name where Odoo answers, or leave it out" });
    return [];
  }
  for (const { text, place } of items) {
    const read = readUpstream(text);
    const key = read.ok ? `${read.value.host}:${read.value.port}` : "";
    if (!read.ok) reader.complain(name, read.error, place);
    else if (seen.has(key))
      reader.complain(name, { thing: `names ${shown(text)} twice`, remedy: "name each member once" }, place);
    else {
      seen.add(key);
      found.push(read.value);
    }
  }
  if (found.length > membersMax) {
    reader.complain(name, { thing: `names more than ${membersMax} members`, remedy: "name fewer" });
    return [];
  }
  return found;
}

function atLeastSecond(read: Read<number>, text: string): Read<number> {
  return read.ok && read.value < 1_000
    ? complain(`${shown(text)} must be at least 1s`)
    : read.ok
      ? ok(read.value)
      : read;
}
