import { type Note, note, orPass, quoted } from "../note.ts";
import { mountsOf } from "./mounts.ts";
import { publishes } from "./ports.ts";
import { type ComposeFile, isRecord, type Service } from "./read.ts";

/** What a container may do, and what it can break. */
export function hardening(compose: ComposeFile): readonly Note[] {
  return [
    ...privileges(compose),
    ...dockerSocket(compose),
    ...orPass(
      compose.services.filter(main).flatMap((service) => userTrouble(service) ?? []),
      "compose-user",
      "no service is told to run as root",
      { file: compose.file, line: null },
    ),
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
  const services = compose.services.filter(main);
  return judged(compose, services, id, good, trouble);
}

/**
 * What the services lack. A service that extends another, or has neither image nor build, is a part, and what it lacks may stand
 * elsewhere: it is not judged.
 */
export function judged(
  compose: ComposeFile,
  services: readonly Service[],
  id: string,
  good: string,
  trouble: (service: Service) => Note | null,
): readonly Note[] {
  const place = { file: compose.file, line: null };
  const whole = services.filter(({ isPart }) => !isPart);
  if (whole.length === 0 && services.length > 0) {
    const names = services.slice(0, 8).map(({ name }) => name);
    return [
      note(
        id,
        "skipped",
        `${names.join(", ")}: the rest of it stands elsewhere (extends, or neither image nor build here)`,
        place,
      ),
    ];
  }
  return orPass(
    whole.flatMap((one) => trouble(one) ?? []),
    id,
    good,
    place,
  );
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
    for (const { index, source } of mountsOf(service))
      if (
        /^\/(?:etc|root|home|var|proc|sys|dev|run|boot|var\/run|var\/lib|var\/lib\/docker)?\/*$/.test(source)
      )
        add(`${source} of the machine as a volume`, "volumes", index);
  }
  return orPass(notes, id, "no service has more rights than a container", { file: compose.file, line: null });
}

function dockerSocket(compose: ComposeFile): readonly Note[] {
  const id = "compose-docker-socket";
  const notes = compose.services.flatMap((service) =>
    mountsOf(service)
      .filter(
        ({ source, target, shown }) =>
          isSocket(source) || isSocket(target) || isSocket(shown) || holdsSocket(source),
      )
      .map(({ index, source, shown }) =>
        note(
          id,
          "fail",
          `${service.name} gets ${shown}${holdsSocket(source) ? ", and the socket in it" : ""}`,
          service.placeOf("volumes", index),
        ),
      ),
  );
  return orPass(notes, id, "no service gets the socket of Docker", { file: compose.file, line: null });
}

/** The folders of the machine in which the socket lies. */
function holdsSocket(source: string): boolean {
  return /^\/(?:run|var|var\/run)?\/*$/.test(source);
}

/** By its path, or by the name of the variable that holds it. */
function isSocket(text: string): boolean {
  return /(?:docker|podman|containerd)\.sock$|\$\{?[A-Z_]*(?:DOCKER|PODMAN|CONTAINERD)_?(?:HOST_)?SOCK/.test(
    text,
  );
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
    if (database.isPart && !database.has("networks")) continue;
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
  if (notes.length === 0 && databases.every((one) => one.isPart && !one.has("networks")))
    return [note(id, "skipped", "its networks stand in another file", { file: compose.file, line: null })];
  return orPass(notes, id, "the database has an internal network", { file: compose.file, line: null });
}

function isInternal(compose: ComposeFile, name: string): boolean {
  const network = compose.record("networks")[name];
  return isRecord(network) && (network["internal"] === true || network["internal"] === "true");
}
