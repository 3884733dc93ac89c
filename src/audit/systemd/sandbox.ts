import { type Note, note } from "../note.ts";
import type { Command } from "./odoo-command.ts";
import type { Unit } from "./read.ts";

/** What a program that is broken into may still do. `DynamicUser` brings all of it (systemd.exec). */
export function sandbox(unit: Unit, command: Command): readonly Note[] {
  return [newPrivileges(unit), protectSystem(unit), ...isolation(unit, command)];
}

const isDynamic = (unit: Unit): boolean => unit.yesNo("DynamicUser") === true;

/** Settings that bring NoNewPrivileges with them where User= is set, whatever it says itself (systemd.exec). */
const bringers: readonly string[] = [
  "SystemCallFilter",
  "SystemCallArchitectures",
  "RestrictAddressFamilies",
  "RestrictNamespaces",
  "PrivateDevices",
  "ProtectKernelTunables",
  "ProtectKernelModules",
  "ProtectKernelLogs",
  "ProtectClock",
  "MemoryDenyWriteExecute",
  "RestrictRealtime",
  "RestrictSUIDSGID",
  "LockPersonality",
];

function isOn(unit: Unit, name: string): boolean {
  const value = unit.last(name)?.value ?? "";
  return value !== "" && !/^(?:0|no|n|false|f|off)$/i.test(value);
}

function newPrivileges(unit: Unit): Note {
  const id = "systemd-no-new-privileges";
  const place = unit.place("NoNewPrivileges");
  if (unit.yesNo("NoNewPrivileges") === true) return note(id, "pass", "NoNewPrivileges is on", place);
  if (isDynamic(unit)) return note(id, "pass", "DynamicUser brings it", unit.place("DynamicUser"));
  const brings = unit.last("User") === null ? undefined : bringers.find((name) => isOn(unit, name));
  if (brings !== undefined) return note(id, "pass", `${brings} brings it`, unit.place(brings));
  const set = unit.last("NoNewPrivileges");
  return note(
    id,
    "warn",
    set === null ? "NoNewPrivileges= is not set" : `NoNewPrivileges=${set.value}`,
    place,
  );
}

/** Settings that make a part of a read-only system writable. */
const writable = ["ReadWritePaths", "ReadWriteDirectories", "StateDirectory", "BindPaths"];

function protectSystem(unit: Unit): Note {
  const id = "systemd-protect-system";
  const set = unit.last("ProtectSystem");
  const value = set === null ? (isDynamic(unit) ? "strict" : "") : set.value;
  const place = unit.place("ProtectSystem");
  const hasPlace = writable.some((name) => unit.list(name).length > 0);
  if (value === "strict" && !hasPlace)
    return note(id, "warn", "ProtectSystem=strict without ReadWritePaths= or StateDirectory=", place, {
      why: "Odoo can then write nowhere: attachments and sessions fail, and so does a log file.",
      fix: "Add ReadWritePaths=/var/lib/odoo /var/log/odoo, with data_dir and the folder of logfile.",
    });
  if (value === "strict" || value === "full") return note(id, "pass", `ProtectSystem=${value}`, place);
  if (/^(?:1|yes|y|true|t|on)$/i.test(value))
    return note(
      id,
      "warn",
      `ProtectSystem=${value}: /etc stays writable, odoo.conf with it where its mode allows`,
      place,
    );
  return note(id, "warn", set === null ? "ProtectSystem= is not set" : `ProtectSystem=${value}`, place);
}

function isolation(unit: Unit, { words, place: commandPlace }: Command): readonly Note[] {
  const id = "systemd-private";
  const home = unit.last("ProtectHome");
  const isHomeClosed = home !== null && /^(?:1|yes|y|true|t|on|tmpfs)$/i.test(home.value);
  const inHome = [...words, unit.last("WorkingDirectory")?.value ?? ""].find((word) =>
    /^\/(?:home|root)\//.test(word),
  );
  if (isHomeClosed && inHome !== undefined)
    return [
      note(id, "fail", `ProtectHome=${home.value} hides ${inHome}, and the unit does not start`, home.place, {
        fix: "Move Odoo to /opt or /srv, or write ProtectHome=read-only.",
      }),
    ];
  const missing = [
    ...(unit.yesNo("PrivateTmp") === true ||
    isDynamic(unit) ||
    unit.last("PrivateTmp")?.value === "disconnected"
      ? []
      : ["PrivateTmp"]),
    ...(isHomeClosed || home?.value === "read-only" || isDynamic(unit) ? [] : ["ProtectHome"]),
  ];
  return missing.length === 0
    ? [note(id, "pass", "PrivateTmp and ProtectHome are on", unit.place("PrivateTmp"))]
    : [
        note(
          id,
          "warn",
          `${missing.join(" and ")} ${missing.length === 1 ? "is" : "are"} not on`,
          unit.last(missing[0] ?? "")?.place ?? commandPlace,
        ),
      ];
}
