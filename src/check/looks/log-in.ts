import { fieldsOf } from "../answer.ts";
import type { Asked } from "../ask.ts";
import type { SiteView } from "../view.ts";

/** What has to be sent along with a log-in: the form's token and the cookies it holds for. */
export interface LoginForm {
  readonly token: string;
  readonly cookie: string;
}

/** The log-in page asked anew, and its form; null where there is none. */
export async function openForm(
  view: SiteView,
): Promise<{ readonly page: Asked; readonly form: LoginForm | null }> {
  const page = await view.ask({ method: "GET", target: "/web/login", alone: true });
  return { page, form: formOf(page) };
}

/** The form of a log-in page; null where there is none. */
export function formOf(page: Asked): LoginForm | null {
  if (!page.ok) return null;
  const token = /name="csrf_token"\s+value="([^"]{1,200})"/.exec(page.value.body.toString("latin1"))?.[1];
  const cookie = fieldsOf(page.value.fields, "set-cookie")
    .map((line) => line.split(";", 1)[0] ?? "")
    .join("; ");
  return token === undefined ? null : { token, cookie };
}

/** One attempt to log in by the form; `target` is the form's address in another spelling. */
export function tryLogin(
  view: SiteView,
  { token, cookie }: LoginForm,
  account: string,
  password: string,
  target = "/web/login",
): Promise<Asked> {
  return view.ask({
    method: "POST",
    target,
    fields: ["Content-Type", "application/x-www-form-urlencoded", "Cookie", cookie],
    body: new URLSearchParams({ csrf_token: token, login: account, password }).toString(),
    alone: true,
  });
}
