/** What is looked at in jails and filters of fail2ban. docs/checks/inside.md is made from it. */
import { type AuditCheck, check } from "./entry.ts";

export const fail2banChecks: readonly AuditCheck[] = [
  check(
    "fail2ban-syntax",
    "A jail watches Odoo, and fail2ban reads it as it is meant",
    "fail2ban takes a # behind a value for a part of it: maxretry then falls back to another number, ignoreip looks the words up. A jail is off unless it says otherwise.",
    "Correct the line; fail2ban-client -d shows what fail2ban makes of it.",
    "printed in guide 1; fail2ban's own reader",
  ),
  check(
    "fail2ban-filter",
    "The filter reads the address from Odoo's line",
    "Odoo 19 writes Login failed for login:NAME from ADDRESS, the versions before db:DATABASE in front of login:. A filter that waits for another line bans nobody, and nothing tells.",
    "failregex = odoo\\.addons\\.base\\.models\\.res_users: Login failed for (?:db:\\S+ )?login:.* from <ADDR>\\s*$",
    "guide 1, guide 3, guide 4; measured on Odoo 16 to 19 and with fail2ban 1.0",
  ),
  check(
    "fail2ban-spoof",
    "A name that holds an address bans nobody else",
    "Who guesses chooses the name in the line. When the pattern takes the first address it finds, a stranger has your office banned.",
    "Let the pattern end in login:.* from <ADDR>\\s*$, so that the last address of the line is the one.",
    "the line measured on Odoo 19",
  ),
  check(
    "fail2ban-log",
    "Odoo writes the line, where the jail reads",
    "At log_level = warn the line is never written; without proxy_mode it names the proxy; and wrong passwords over RPC are written without an address in any case.",
    "Write log_level = info, proxy_mode = True, and the path of logfile as logpath.",
    "guide 1, guide 3; measured on Odoo 16 to 19",
  ),
  check(
    "fail2ban-limits",
    "The jail leaves few guesses, and bans for long enough",
    "An address that stays just below maxretry in findtime is never banned: 10 in 60 s, as guides have it, leave 12960 guesses a day.",
    "Write maxretry = 5, findtime = 10m and bantime = 2h.",
    "guide 1, guide 3, guide 4",
  ),
];
