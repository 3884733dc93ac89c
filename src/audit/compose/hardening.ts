import { type Note, note, orPass, quoted } from "../note.ts";
import { publishes } from "./ports.ts";
import { type ComposeFile, isRecord, type Service } from "./read.ts";

/** What a container may do, and what it can break. */
export function hardening(compose: ComposeFile): readonly Note[] {
  return [
    ...privileges(compose),
    ...dockerSocket(compose),
    ...each(compose, "compose-user", userTrouble, "no service is told to run as root"),
    ...each(compose, "compose-no-new-privileges", newPrivileges, "no service gains privileges"),
    ...each(compose, "compose-read-only", readOnly, "root file systems are read-only"),
    ...networks(compose),
  ];
}

const main = (service: Service): boolean => service.kind !== "other";

/** One warning for each of the main services in which `trouble` sees something. */
function each(
  compose: ComposeFile,
  id: string,
  trouble: (service: Service) => Note | null,
  good: string,
): readonly Note[] {
  const notes = compose.services.filter(main).flatMap((service) => trouble(service) ?? []);
  return orPass(notes, id, good, { file: compose.file, line: null });
}

function privileges(compose: ComposeFile): readonly Note[] {
  const id = "compose-privileged";
  const notes: Note[] = [];
  for (const service of compose.services) {
    const add = (thing: string, ...keys: (string | number)[]) =>
      notes.push(note(id, "fail", `${service.name} has ${thing}`, service.placeOf(...keys)));
    if (service.at("privileged") === true || service.text("privileged") === "true")
      add("privileged: true", "privileged");
    for (const key of ["pid", "ipc", "userns_mode"])
      if (service.text(key) === "host") add(`${key}: host`, key);
    for (const { value } of service.list("cap_add"))
      if (
        /^(?:CAP_)?(?:ALL|SYS_ADMIN|SYS_MODULE|SYS_PTRACE|NET_ADMIN|DAC_READ_SEARCH|SYS_RAWIO|BPF)$/i.test(
          value,
        )
      )
        add(`cap_add: ${value}`, "cap_add");
    for (const { value } of service.list("security_opt"))
      if (/unconfined|label[:=]disable/.test(value)) add(`security_opt: ${value}`, "security_opt");
    for (const [index, source] of volumeSources(service))
      if (/^\/(?:etc|root|home|var|proc|sys|dev)?\/?$/.test(source))
        add(`${source} of the machine as a volume`, "volumes", index);
  }
  return orPass(notes, id, "no service has more rights than a container", { file: compose.file, line: null });
}

function dockerSocket(compose: ComposeFile): readonly Note[] {
  const id = "compose-docker-socket";
  const notes = compose.services.flatMap((service) =>
    volumeSources(service)
      .filter(([, source]) => /docker\.sock$|podman\.sock$|containerd\.sock$/.test(source))
      .map(([index, source]) =>
        note(id, "fail", `${service.name} gets ${source}`, service.placeOf("volumes", index)),
      ),
  );
  return orPass(notes, id, "no service gets the socket of Docker", { file: compose.file, line: null });
}

/** Sources of bind mounts and names of volumes, with their index. */
export function volumeSources(service: Service): readonly (readonly [number, string])[] {
  const value = service.at("volumes");
  if (!Array.isArray(value)) return [];
  return value.flatMap((item: unknown, index) => {
    if (isRecord(item)) return typeof item["source"] === "string" ? [[index, item["source"]] as const] : [];
    return typeof item === "string" ? [[index, item.split(":")[0] ?? ""] as const] : [];
  });
}

function userTrouble(service: Service): Note | null {
  const user = service.text("user");
  if (user === null || !/^(?:root|0)(?::|$)/.test(user)) return null;
  // The image of PostgreSQL begins as root and steps down by itself.
  return note(
    "compose-user",
    service.kind === "postgres" ? "warn" : "fail",
    `${service.name} runs as ${quoted(user)}`,
    service.placeOf("user"),
  );
}

function newPrivileges(service: Service): Note | null {
  const has = service
    .list("security_opt")
    .some(({ value }) => /^no-new-privileges(?:[:=]true)?$/.test(value));
  return has
    ? null
    : note("compose-no-new-privileges", "warn", `${service.name} has no no-new-privileges`, service.place);
}

function readOnly(service: Service): Note | null {
  if (service.kind === "postgres" || service.at("read_only") === true) return null;
  return note(
    "compose-read-only",
    "warn",
    `${service.name} can write to its own root file system`,
    service.place,
  );
}

/** The database shares a network with nobody who is reached from outside. */
function networks(compose: ComposeFile): readonly Note[] {
  const id = "compose-networks";
  const databases = compose.services.filter(({ kind }) => kind === "postgres");
  if (databases.length === 0)
    return [note(id, "skipped", "no service runs PostgreSQL", { file: compose.file, line: null })];
  const notes: Note[] = [];
  for (const database of databases) {
    const own = database.networks();
    const proxy = compose.services.find(
      (one) =>
        one.kind !== "postgres" &&
        one.kind !== "odoo" &&
        publishes(one) &&
        one.networks().some((name) => own.includes(name)),
    );
    if (proxy !== undefined)
      notes.push(
        note(
          id,
          "warn",
          `${database.name} shares a network with ${proxy.name}, which is reached from outside`,
          database.place,
        ),
      );
    const open = own.filter((name) => !isInternal(compose, name));
    if (open.length > 0)
      notes.push(
        note(
          id,
          "warn",
          `${database.name} is in ${open.map(quoted).join(", ")}, which is not internal: it can reach the internet`,
          database.place,
        ),
      );
  }
  return orPass(notes, id, "the database has an internal network", { file: compose.file, line: null });
}

function isInternal(compose: ComposeFile, name: string): boolean {
  const network = compose.record("networks")[name];
  return isRecord(network) && (network["internal"] === true || network["internal"] === "true");
}
