import { isAbsolute, resolve, sep } from "node:path";
import type { AuditContext } from "../context.ts";
import { type Note, note, quoted } from "../note.ts";
import type { ConfView } from "./view.ts";

/** Who may read odoo.conf and the folder of the attachments. `path` is where the file was read. */
export function modes(conf: ConfView, path: string, { modesOf }: AuditContext): readonly Note[] {
  return [fileMode(conf, path, modesOf), dataDir(conf, modesOf)];
}

function fileMode(conf: ConfView, path: string, modesOf: AuditContext["modesOf"]): Note {
  const id = "conf-file-mode";
  const place = { file: conf.file, line: null };
  const found = modesOf(path);
  if (found === null) return note(id, "skipped", "this system has no file modes", place);
  const shown = `mode ${octal(found.mode)}, owner ${found.owner === 0 ? "root" : `user ${found.owner}`}`;
  if ((found.mode & 0o007) !== 0)
    return note(id, "fail", `${shown}: every user of the machine can read it`, place);
  if ((found.mode & 0o020) !== 0) return note(id, "warn", `${shown}: its group may change it`, place);
  return note(id, "pass", shown, place);
}

function dataDir(conf: ConfView, modesOf: AuditContext["modesOf"]): Note {
  const id = "conf-data-dir";
  const place = conf.place("data_dir");
  const path = conf.text("data_dir");
  if (path === "")
    return note(id, "skipped", `${conf.shown("data_dir")}: it lies in the home of the system user`, place);
  if (!isAbsolute(path))
    return note(id, "warn", `${conf.shown("data_dir")} depends on where Odoo is started`, place);
  if (/^\/(?:tmp|var\/tmp|dev\/shm)(?:\/|$)/.test(path))
    return note(
      id,
      "fail",
      `${conf.shown("data_dir")}: that folder is open to every user and emptied at a restart`,
      place,
    );
  const addons = conf
    .text("addons_path")
    .split(",")
    .map((one) => one.trim())
    .filter((one) => one !== "");
  const inside = addons.find((one) => `${resolve(path)}${sep}`.startsWith(`${resolve(one)}${sep}`));
  if (inside !== undefined)
    return note(
      id,
      "fail",
      `${conf.shown("data_dir")} lies below ${quoted(inside)}, where Odoo looks for programs and serves static files`,
      place,
    );
  const found = modesOf(path);
  if (found === null) return note(id, "skipped", `${quoted(path)} is not on this machine`, place);
  if (!found.isFolder) return note(id, "fail", `${quoted(path)} is no folder`, place);
  return (found.mode & 0o007) === 0
    ? note(id, "pass", `${quoted(path)}, mode ${octal(found.mode)}`, place)
    : note(
        id,
        "fail",
        `${quoted(path)} has mode ${octal(found.mode)}: every user of the machine can read attachments and sessions`,
        place,
      );
}

function octal(mode: number): string {
  return (mode & 0o7777).toString(8).padStart(4, "0");
}
