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
  const seen = new Set<string>();
  for (const [host, value] of hosts) {
    complainAboutHost(host, served, "add it to DOMAIN first", (thing, remedy) =>
      complain(section.keyPlace([host]), thing, remedy),
    );
    // The two have one name on the wire, and one of them would be forgotten.
    if (seen.has(host.toLowerCase()))
      complain(section.keyPlace([host]), `${shown(host)} is named twice`, "keep one of them");
    seen.add(host.toLowerCase());
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

/** Complains about a host that is not served here; the served names are those without their ports. */
export function complainAboutHost(
  host: string,
  served: readonly string[],
  otherwise: string,
  complain: (thing: string, remedy: string) => void,
): void {
  const lower = host.toLowerCase();
  if (served.includes(lower)) return;
  const bare = lower.replace(/:[0-9]*$/, "");
  if (served.includes(bare))
    return complain(`${shown(host)} has a port`, `write ${bare}: it is for every port`);
  const near = nearestName(host, served);
  complain(`${shown(host)} is none of DOMAIN`, near === null ? otherwise : `did you mean ${near}?`);
}
