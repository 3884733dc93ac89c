/** What is looked at in the database of an Odoo. docs/checks/inside.md is made from it. */
import { type AuditCheck, check } from "./entry.ts";

export const odooChecks: readonly AuditCheck[] = [
  check(
    "odoo-version",
    "Odoo still gets fixes",
    "Odoo mends its three newest series. Holes that are found in the others stay open, and everybody can read about them.",
    "Upgrade to a series that gets fixes.",
    "guide 2, guide 5",
  ),
  check(
    "odoo-first-passwords",
    "The passwords Odoo comes with do not open it",
    "Everybody tries admin/admin and demo/demo first, on test copies too, whose data is real.",
    "Give admin another password in Settings, Users, and archive the user demo.",
    "guide 4",
  ),
  check(
    "odoo-admin-login",
    "No administrator is called admin",
    "The name is half of what a guess needs, and programs that guess begin with it.",
    "Make an administrator with a name of its own, log in with it, and archive the user admin.",
    "guide 2, guide 4",
  ),
  check(
    "odoo-admins",
    "Few people are administrators",
    "Who is in Settings or Access Rights reads, changes and exports everything, and may give rights to others.",
    "Take Settings and Access Rights from who does not need them each week: Settings, Users, Access Rights.",
    "guide 1, guide 2",
  ),
  check(
    "odoo-second-factor",
    "Administrators have a second factor",
    "A password that leaks, or is used elsewhere too, then opens nothing by itself.",
    "Let each administrator set up Two-factor Authentication or a passkey in his preferences, or set Settings, Permissions, Enforce two-factor authentication.",
    "guide 1",
  ),
  check(
    "odoo-stale-accounts",
    "Accounts that nobody uses are archived",
    "Nobody notices that the account of who left is used by somebody else.",
    "Archive them: Settings, Users, Action, Archive.",
    "guide 2",
  ),
  check(
    "odoo-password-policy",
    "Passwords have a least length",
    "Odoo by itself takes any password, one character included.",
    "Install auth_password_policy, and write 10 or more in Settings, Permissions, Minimum Password Length.",
    "guide 1",
  ),
  check(
    "odoo-audit-log",
    "Changes of data are recorded",
    "Without a record nobody can tell after a break-in what was changed, and by whom.",
    "Install OCA's auditlog and make rules for the models that matter.",
    "guide 1",
  ),
  check(
    "odoo-demo-data",
    "There is no demonstration data",
    "It brings users whose passwords everybody knows.",
    "Make the database anew without demonstration data; archive demo and portal until then.",
    "guide 4",
  ),
  check(
    "odoo-base-url",
    "Mails lead to the site, and nobody can change that",
    "Odoo writes the host of an administrator's log-in into web.base.url, and links of all later mails lead there.",
    "Set the system parameters web.base.url = https://erp.example.com and web.base.url.freeze = True.",
    "reports of users; guide 4",
  ),
  check(
    "odoo-report-url",
    "PDFs find their styles without the public address",
    "The program that makes PDFs fetches styles and pictures from report.url, else from web.base.url: over the internet, through every limit, and from the very workers that wait for it.",
    "Set the system parameter report.url to an address inside: http://127.0.0.1:8069, or the gateway's REPORT_LISTEN, which answers from its memory.",
    "reports of users",
  ),
  check(
    "odoo-upload-limit",
    "Uploads that Odoo takes get through",
    "A file that Odoo would take and the gateway refuses is an error nobody in the office understands.",
    "Set BODY_MAX to a little more than web.max_file_upload_size, or lower that.",
    "guide 1, reports of users",
  ),
];
