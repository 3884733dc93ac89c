/** What is looked at in units of systemd. docs/checks/inside.md is made from it. */
import { type AuditCheck, check } from "./entry.ts";

export const systemdChecks: readonly AuditCheck[] = [
  check(
    "systemd-syntax",
    "systemd reads the unit as it is meant",
    "A second ExecStart= in a drop-in keeps the service from starting, a comment behind a value is a part of it, and a line systemd cannot read is passed over: a protection that was meant is not there.",
    "Correct the line; systemd-analyze verify odoo.service shows the same.",
    "systemd's own reader (systemd.syntax, systemd.service)",
  ),
  check(
    "systemd-user",
    "Odoo runs as a user of its own that nobody logs in as",
    "A hole in one module has the rights of the user Odoo runs as: with root it has the machine.",
    "useradd --system --home-dir /opt/odoo --shell /usr/sbin/nologin odoo, and User=odoo in [Service].",
    "guide 1, guide 2",
  ),
  check(
    "systemd-no-new-privileges",
    "Odoo cannot gain rights",
    "A setuid program on the machine, sudo among them, can make an intruder root.",
    "Write NoNewPrivileges=yes in [Service].",
    "guide 1, and the hardening of systemd.exec",
  ),
  check(
    "systemd-protect-system",
    "Odoo cannot change the system it runs on",
    "What cannot be written cannot be replaced: programs in /usr, units and cron jobs in /etc, odoo.conf itself.",
    "Write ProtectSystem=strict and ReadWritePaths=/var/lib/odoo /var/log/odoo, with data_dir and the folder of logfile; or ProtectSystem=full.",
    "guide 1, and the hardening of systemd.exec",
  ),
  check(
    "systemd-private",
    "Odoo sees neither home folders nor others' temporary files",
    "Keys in home folders and reports in /tmp are read by whoever breaks into one module.",
    "Write PrivateTmp=yes and ProtectHome=yes, or ProtectHome=read-only where Odoo itself lies below /home.",
    "the hardening of systemd.exec",
  ),
  check(
    "systemd-odoo-options",
    "The start does not undo odoo.conf",
    "Options of the command line win over odoo.conf, and with another file behind -c nothing of odoo.conf holds.",
    "Take the option out of ExecStart= and write the line in odoo.conf; then systemctl daemon-reload and restart.",
    "guide 1, guide 2",
  ),
  check(
    "systemd-secrets",
    "No password stands where every user reads it",
    "ps and systemctl show print command lines and Environment= to every user of the machine, and units have mode 644.",
    "Write it in odoo.conf (mode 640), or in an EnvironmentFile= with mode 600.",
    "guide 1, guide 2",
  ),
  check(
    "systemd-restart",
    "Odoo comes back by itself",
    "After a crash, or when the kernel has taken a process for its memory, the service stays down until somebody notices.",
    "Write Restart=on-failure and RestartSec=5.",
    "guide 5",
  ),
];
