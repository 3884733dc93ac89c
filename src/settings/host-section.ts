import { nearestName } from "../base/nearest.ts";
import { ok } from "../base/result.ts";
import { complain as complaint, type Read, shown } from "./complaint.ts";
import { checkKeys, mapOf, type Section, type SectionComplaint } from "./sections.ts";

/** Reads the name of a database as Odoo makes them (DBNAME_PATTERN, odoo/service/db.py, 16 to 19). */
export function readDatabaseName(text: string): Read<string> {
  return /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/.test(text)
    ? ok(text)
    : complaint(`${shown(text)} is no name of a database`, "letters, digits, _ . and -, 63 at most");
}

/** Reads the section `hosts:` of gateway.yaml: the database of each host. Hosts that are not in it have DATABASE's. */
export function readHostDatabases(
  section: Section | undefined,
  served: readonly string[],
  complain: SectionComplaint,
): ReadonlyMap<string, string> {
  const databases = new Map<string, string>();
  const hosts = section === undefined ? null : mapOf(section, [], section.value, "hosts", complain);
  if (section === undefined || hosts === null) return databases;
  for (const [host, value] of hosts) {
    if (!served.includes(host.toLowerCase())) {
      const near = nearestName(host, served);
      const remedy = near === null ? "add it to DOMAIN first" : `did you mean ${near}?`;
      complain(section.keyPlace([host]), `${shown(host)} is none of DOMAIN`, remedy);
    }
    const map = mapOf(section, [host], value, shown(host), complain);
    if (map === null) continue;
    checkKeys(section, [host], map, ["database"], complain);
    const name = map.get("database");
    if (name === undefined) continue;
    const read =
      typeof name === "string" ? readDatabaseName(name) : complaint("must be text", "put it in quotes");
    if (read.ok) databases.set(host.toLowerCase(), read.value);
    else complain(section.valuePlace([host, "database"]), `database ${read.error.thing}`, read.error.remedy);
  }
  return databases;
}
