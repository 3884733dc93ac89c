import { fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { formOf, openForm, tryLogin } from "./log-in.ts";

/** Accounts every new database has: the administrator, and the one of the demonstration data. Password and name are the same. */
const accounts = ["admin", "demo"];

const logins: Check = {
  id: "default-logins",
  title: "The passwords Odoo comes with do not open it",
  why: "Everybody tries admin/admin and demo/demo first, on test copies too, whose data is real.",
  fix: "Give admin another password and, better, another login; make databases without demonstration data, or archive the user demo.",
  async look(view) {
    if (!view.loginCanary)
      return skipped("Not asked for. --login-canary tries admin/admin and demo/demo, once each.");
    const answers: string[] = [];
    const open: string[] = [];
    const unknown: string[] = [];
    let page = await view.login();
    let form = formOf(page);
    for (const account of accounts) {
      if (form === null) ({ page, form } = await openForm(view));
      if (open.length > 0 && form === null) break;
      if (!page.ok) return untold(page.error);
      if (form === null)
        return skipped(`GET /web/login: ${page.value.status}, and no form that could be filled in.`);
      const asked = await tryLogin(view, form, account, account);
      if (!asked.ok) {
        if (asked.error.kind !== "closed") return open.length > 0 ? fail(told(open)) : untold(asked.error);
        answers.push(`${account}: closed`);
        unknown.push(account);
        continue;
      }
      const { status, fields } = asked.value;
      const to = fieldsOf(fields, "location")[0] ?? "";
      // Odoo answers a wrong password with the page again; a right one leads on, to the client or to the second factor.
      const isRedirect = status === 302 || status === 303;
      const isBack = /\/web\/login(?:[?#]|$)/.test(to);
      if (isRedirect && !isBack && !to.includes("/web/database/")) {
        open.push(account);
        // The token holds for the session before.
        form = null;
        continue;
      }
      answers.push(`${account}: ${status}`);
      // A limit, a ban and an error say nothing of the password.
      if (isRedirect ? !isBack : status !== 200 || formOf(asked) === null) unknown.push(account);
    }
    if (open.length > 0) return fail(told(open));
    const seen = answers.join(", ");
    return unknown.length > 0
      ? skipped(`No word came on the password of ${unknown.join(" and ")} (${seen}).`)
      : pass(`Refused (${seen}).`);
  },
};

function told(open: readonly string[]): string {
  return `Let in: ${open.map((account) => `${account}/${account}`).join(", ")}.`;
}

export const defaultLoginChecks: readonly Check[] = [logins];
