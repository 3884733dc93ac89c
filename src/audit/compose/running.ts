import { type Note, note, orPass, quoted } from "../note.ts";
import { judged } from "./hardening.ts";
import { mountsOf, unknownPart } from "./mounts.ts";
import { type ComposeFile, isRecord, type Service } from "./read.ts";

const mainKinds = ["odoo", "postgres", "proxy"];

/** What keeps the services running, and their data. */
export function running(compose: ComposeFile): readonly Note[] {
  const services = compose.services.filter(({ kind }) => mainKinds.includes(kind));
  const collect = (id: string, good: string, trouble: (service: Service) => Note | null): readonly Note[] =>
    judged(compose, services, id, good, trouble);
  return [
    ...imageTags(compose, services),
    ...collect("compose-restart", "every service comes back by itself", restart),
    ...collect("compose-logging", "logs have a bound", logs),
    ...collect("compose-memory", "every service has a memory limit", memory),
    ...collect("compose-healthcheck", "the database has a health check", healthcheck),
    ...collect("compose-depends-on", "Odoo waits for a database that is ready", (service) =>
      dependsOn(service, compose),
    ),
    ...collect("compose-volumes", "data lies in volumes", volumes),
  ];
}

/** What a part of a service says of its image counts, too. */
function imageTags(compose: ComposeFile, services: readonly Service[]): readonly Note[] {
  const id = "compose-image-tag";
  const good = "every image has a version";
  const named = services.filter((one) => one.has("image"));
  if (named.length === 0) return judged(compose, services, id, good, imageTag);
  const place = { file: compose.file, line: null };
  return orPass(
    named.flatMap((one) => imageTag(one) ?? []),
    id,
    good,
    place,
  );
}

function imageTag(service: Service): Note | null {
  const id = "compose-image-tag";
  const image = service.text("image");
  if (image === null) return null;
  // What only a variable says is not known here.
  if (image.includes("@sha256:") || image.includes("$")) return null;
  const tag = /:([^/:]+)$/.exec(image)?.[1];
  if (tag !== undefined && tag !== "latest") return null;
  return note(
    id,
    tag === undefined && service.has("build") ? "warn" : "fail",
    `${service.name}: ${quoted(image)} is whatever is newest on the day it is pulled`,
    service.placeOf("image"),
  );
}

function restart(service: Service): Note | null {
  const policy = service.text("restart") ?? "";
  if (/^(?:always|unless-stopped|on-failure)/.test(policy)) return null;
  const condition = service.text("deploy", "restart_policy", "condition");
  if (condition !== null ? condition !== "none" : service.at("deploy", "restart_policy") !== undefined)
    return null;
  return note(
    "compose-restart",
    "warn",
    `${service.name} stays down after a crash or a restart of the machine`,
    service.place,
  );
}

function logs(service: Service): Note | null {
  const id = "compose-logging";
  const driver = service.text("logging", "driver");
  const place = service.has("logging") ? service.placeOf("logging") : service.place;
  if (driver === "none") return note(id, "fail", `${service.name} keeps no log at all`, place);
  if (driver !== null && driver !== "json-file") return null;
  if (service.text("logging", "options", "max-size") !== null) return null;
  return note(id, "warn", `${service.name}: the log of its container grows without end`, place);
}

function memory(service: Service): Note | null {
  if (service.has("mem_limit") || service.text("deploy", "resources", "limits", "memory") !== null)
    return null;
  return note("compose-memory", "warn", `${service.name} may take all memory of the machine`, service.place);
}

function healthcheck(service: Service): Note | null {
  if (service.kind !== "postgres") return null;
  const isOff =
    service.at("healthcheck", "disable") === true || service.list("healthcheck", "test")[0]?.value === "NONE";
  if (isRecord(service.at("healthcheck")) && !isOff) return null;
  return note(
    "compose-healthcheck",
    "warn",
    `${service.name} has no health check, so nobody can wait for it`,
    service.place,
  );
}

function dependsOn(service: Service, compose: ComposeFile): Note | null {
  if (service.kind !== "odoo") return null;
  const database = compose.services.find(({ kind }) => kind === "postgres");
  if (database === undefined) return null;
  if (service.text("depends_on", database.name, "condition") === "service_healthy") return null;
  return note(
    "compose-depends-on",
    "warn",
    `${service.name} does not wait until ${database.name} is healthy`,
    service.has("depends_on") ? service.placeOf("depends_on") : service.place,
  );
}

/** Where data lies, by the images of PostgreSQL, Odoo, Bitnami, Camptocamp and Doodba. */
const dataFolders: Readonly<Record<string, { readonly usual: string; readonly folder: RegExp }>> = {
  postgres: { usual: "/var/lib/postgresql", folder: /^\/(?:var\/lib\/postgresql|bitnami\/postgresql)/ },
  odoo: {
    usual: "/var/lib/odoo",
    folder: /^\/(?:var\/lib\/odoo|bitnami\/odoo|data\/odoo|opt\/odoo\/data)|filestore|\.local\/share\/Odoo/,
  },
};

function volumes(service: Service): Note | null {
  const id = "compose-volumes";
  const data = dataFolders[service.kind];
  if (data === undefined) return null;
  const own = service
    .environment()
    .find(({ name }) => /^(?:PGDATA|POSTGRESQL_DATA_DIR|(?:ODOO_)?DATA_DIR)$/.test(name));
  const mounts = mountsOf(service);
  const found = mounts.find(
    ({ target }) =>
      data.folder.test(target) ||
      target.includes(unknownPart) ||
      (own !== undefined && `${own.resolved ?? own.written}/`.startsWith(`${target}/`)),
  );
  if (found === undefined) {
    const isElsewhere =
      service.has("volumes_from") || service.words().some(({ value }) => /^(?:--data-dir|-D$)/.test(value));
    return isElsewhere
      ? null
      : note(
          id,
          service.kind === "postgres" ? "fail" : "warn",
          `${service.name}: nothing is mounted at ${data.usual}, so its data goes with the container`,
          service.place,
        );
  }
  return found.source.startsWith("/tmp")
    ? note(
        id,
        "fail",
        `${service.name}: ${quoted(found.source)} is emptied at a restart`,
        service.placeOf("volumes", found.index),
      )
    : null;
}
