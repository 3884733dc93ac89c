/** Files that an operator's file includes, found the way PostgreSQL and nginx find them. */
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import type { ReadFile } from "../settings/read-file.ts";
import type { ReadCompose } from "./compose/project.ts";
import type { ReadEnvFile } from "./compose/read.ts";
import type { Fail2banFiles } from "./fail2ban/audit-fail2ban.ts";
import { filesMax, includesOf } from "./fail2ban/config.ts";
import { globMatches, isGlob } from "./glob.ts";
import type { ReadIncluded as ReadNginx } from "./nginx/parse.ts";
import type { ReadIncluded as ReadPostgres } from "./postgres/conf.ts";

/** The disk, as arguments: a test gives its own. */
export interface Disk {
  readonly cwd: string;
  readonly readFile: ReadFile;
  /** Names in a folder; null: it cannot be read. */
  readonly readFolder: (path: string) => readonly string[] | null;
}

interface Text {
  readonly file: string;
  readonly text: string;
}

function texts(files: readonly string[], { cwd, readFile }: Disk): readonly Text[] {
  return files.flatMap((file) => {
    const read = readFile(resolve(cwd, file));
    return read.ok ? [{ file, text: read.value }] : [];
  });
}

/**
 * PostgreSQL: relative to the including file; a folder's `*.conf` in name order, those that begin with a dot left out.
 */
export function postgresIncludes(disk: Disk): ReadPostgres {
  return (kind, name, from) => {
    const path = isAbsolute(name) ? name : join(dirname(from), name);
    if (kind !== "include_dir") {
      const found = texts([path], disk);
      return found.length === 0 ? null : found;
    }
    const names = disk.readFolder(resolve(disk.cwd, path));
    if (names === null) return null;
    const files = names.filter((one) => one.endsWith(".conf") && !one.startsWith(".")).sort();
    return texts(
      files.map((one) => join(path, one)),
      disk,
    );
  };
}

/** Files that compose files include and extend, by their path. */
export function composeFiles(disk: Disk): ReadCompose {
  return (path) => texts([path], disk)[0] ?? null;
}

/** What docker compose reads by itself on top of a file of the usual name, when no -f is given. */
export function composeOverride(file: string, disk: Disk): readonly Text[] {
  if (!/^(?:docker-)?compose\.ya?ml$/.test(basename(file))) return [];
  const names = [
    "compose.override.yml",
    "compose.override.yaml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
  ];
  const found = names.flatMap((name) => texts([join(dirname(file), name)], disk));
  return found.slice(0, 1);
}

/** Compose: `env_file` is relative to the compose file. */
export function envFiles(file: string, disk: Disk): ReadEnvFile {
  return (name) => texts([isAbsolute(name) ? name : join(dirname(file), name)], disk)[0] ?? null;
}

/**
 * fail2ban: a folder's jails in its own order (jail.conf, jail.d, jail.local, each with .local behind .conf), or the file that is
 * named; filters from `filter.d` of that folder, and from beside the file.
 */
export function fail2banFiles(path: string, disk: Disk): Fail2banFiles {
  const entries = disk.readFolder(resolve(disk.cwd, path));
  const folder = entries === null ? dirname(path) : path;
  const named = (name: string, ending: string) =>
    (disk.readFolder(resolve(disk.cwd, join(folder, name))) ?? [])
      .filter((one) => one.endsWith(ending))
      .sort()
      .map((one) => join(folder, name, one));
  const jails =
    entries === null
      ? [path]
      : [
          join(path, "jail.conf"),
          ...named("jail.d", ".conf"),
          join(path, "jail.local"),
          ...named("jail.d", ".local"),
        ];
  const bases =
    entries === null
      ? [join(folder, "filter.d"), join(folder, "../filter.d"), folder]
      : [join(folder, "filter.d")];
  return {
    name: path,
    texts: withIncludes(jails, disk),
    readFilter: (name) => {
      // A name, never a way out of the folder.
      if (!/^[A-Za-z0-9_.-]+$/.test(name)) return [];
      for (const base of bases) {
        const found = withIncludes([join(base, `${name}.conf`), join(base, `${name}.local`)], disk);
        if (found.length > 0) return found;
      }
      return [];
    },
  };
}

/** As deep as [INCLUDES] may nest. */
const includeDepthMax = 5;

/** `budget` bounds the files of one filter, or of all jails: a file may include itself. */
function withIncludes(
  files: readonly string[],
  disk: Disk,
  depth = 0,
  budget = { left: filesMax },
): readonly Text[] {
  const found: Text[] = [];
  for (const file of files) {
    const [one] = budget.left > 0 ? texts([file], disk) : [];
    if (one === undefined) continue;
    budget.left -= 1;
    const { before, after } = depth < includeDepthMax ? includesOf(one.text) : { before: [], after: [] };
    const beside = (names: readonly string[]) =>
      withIncludes(
        names.map((name) => (isAbsolute(name) ? name : join(dirname(one.file), name))),
        disk,
        depth + 1,
        budget,
      );
    found.push(...beside(before), one, ...beside(after));
  }
  return found;
}

/** Where systemd looks for drop-ins of a unit in one of these folders; an earlier one hides a file of the same name in a later. */
const systemdFolders: readonly string[] = [
  "/etc/systemd/system",
  "/run/systemd/system",
  "/usr/local/lib/systemd/system",
  "/usr/lib/systemd/system",
  "/lib/systemd/system",
];

/**
 * systemd: `odoo.service.d/*.conf` beside the unit, of an instance `odoo@a.service` those of `odoo@.service` too, and
 * `service.d` for every service; in name order whatever folder they come from (systemd.unit).
 */
export function systemdDropIns(file: string, disk: Disk): readonly Text[] {
  const own = dirname(file);
  const unit = basename(file);
  const names = ["service.d", `${unit.replace(/@.*\.service$/, "@.service")}.d`, `${unit}.d`];
  const isInstalled = systemdFolders.includes(resolve(disk.cwd, own));
  const folders = (isInstalled ? systemdFolders : [own]).flatMap((folder) =>
    [...new Set(names)].reverse().map((name) => join(folder, name)),
  );
  const byName = new Map<string, string>();
  for (const folder of folders)
    for (const name of disk.readFolder(resolve(disk.cwd, folder)) ?? [])
      if (name.endsWith(".conf") && !name.startsWith(".") && !byName.has(name))
        byName.set(name, join(folder, name));
  const files = [...byName].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, path]) => path);
  return texts(files.slice(0, dropInsMax), disk);
}

/** Most drop-ins of one unit that are read. */
const dropInsMax = 200;

/**
 * nginx: relative to the folder of nginx.conf. A site file lies one or two folders below it, so its own folder and three above
 * are tried. `*`, `?` and `[a-z]` are patterns.
 */
export function nginxIncludes(file: string, disk: Disk): ReadNginx {
  const own = dirname(file);
  const bases = [own, join(own, ".."), join(own, "../.."), join(own, "../../..")];
  return (name) => {
    for (const path of isAbsolute(name) ? [name] : bases.map((base) => join(base, name))) {
      const found = texts(fitting(path, disk), disk);
      if (found.length > 0) return found;
    }
    return null;
  };
}

/** Most paths one pattern may name. */
const fittingMax = 1_000;

/** Paths that fit, in name order; a pattern may stand in any part, and never names what begins with a dot. */
function fitting(path: string, { cwd, readFolder }: Disk): readonly string[] {
  if (!isGlob(path)) return [path];
  let found = [isAbsolute(path) ? "/" : "."];
  for (const part of path.split("/").filter((one) => one !== "" && one !== "."))
    found = found
      .flatMap((folder) =>
        isGlob(part)
          ? [...(readFolder(resolve(cwd, folder)) ?? [])]
              .filter((one) => !one.startsWith(".") && globMatches(part, one))
              .sort()
              .map((one) => join(folder, one))
          : [join(folder, part)],
      )
      .slice(0, fittingMax);
  return found;
}
