import { type AnswerHeader, bytes, json, page, plainError, redirect, websitePage } from "./answer.ts";
import { type DemoContext, type DemoRequest, type Handler, openSession, workerVersion } from "./context.ts";
import { clientHtml, websiteHtml } from "./pages.ts";
import { localRedirect } from "./routes-login.ts";
import { languageCookie, sessionCookie } from "./sessions.ts";

/** The web client: `/odoo…`, `/web`. Logged in 200 with the session cookie again, else to the log-in page. */
export const webClient: Handler = (request, context) => {
  const { session, user, newCookies } = openSession(request, context, false);
  if (user === null) return toLogin(request, newCookies);
  if (user.portal) return redirect(303, "/my");
  const headers: readonly AnswerHeader[] = [
    ["X-Frame-Options", "DENY"],
    ...(context.version >= 19 ? ([["Cache-Control", "no-store"]] as const) : []),
    ["Set-Cookie", sessionCookie(session.sid, context.wallMs())],
  ];
  return page(200, clientHtml(user.name, workerVersion(context)), headers);
};

function toLogin(request: DemoRequest, cookies: readonly AnswerHeader[]): ReturnType<typeof redirect> {
  return redirect(
    303,
    `/web/login?redirect=${encodeURIComponent(`${request.path}?${request.query}`)}`,
    cookies,
  );
}

/** A page of the website: any method, cookies for a new visitor, no Cache-Control. */
function website(title: string, text: string): Handler {
  return (request, context) => {
    const { newCookies } = openSession(request, context, true);
    return websitePage(
      200,
      websiteHtml(title, `<h1>${title}</h1><p>${text}</p>`, workerVersion(context)),
      newCookies,
    );
  };
}

/** The website's 404, 22 kB with cookies. */
export function notFound(request: DemoRequest, context: DemoContext): ReturnType<typeof websitePage> {
  const { newCookies } = openSession(request, context, true);
  const language: AnswerHeader = ["Set-Cookie", languageCookie(context.wallMs())];
  const html = websiteHtml("404", "<h1>404: Page not found!</h1>", workerVersion(context), 22_000);
  return websitePage(404, html, [language, language, ...newCookies]);
}

const my: Handler = (request, context) => {
  const { session, user, newCookies } = openSession(request, context, true);
  if (user === null) return toLogin(request, newCookies);
  const html = websiteHtml(
    "My Portal",
    `<h1>My account</h1><p>Signed in as ${user.name}.</p>`,
    workerVersion(context),
  );
  return websitePage(200, html, [["Set-Cookie", sessionCookie(session.sid, context.wallMs())]]);
};

const pos: Handler = (request, context) => {
  const { session, user, newCookies } = openSession(request, context, false);
  if (user === null) return toLogin(request, newCookies);
  return page(200, clientHtml(`${user.name} (Point of Sale)`, workerVersion(context)), [
    ["Cache-Control", "no-store"],
    ["Set-Cookie", sessionCookie(session.sid, context.wallMs())],
  ]);
};

/** `/report/pdf/…`: a small PDF for who is logged in. */
export const report: Handler = (request, context) => {
  const { user, newCookies } = openSession(request, context, false);
  if (user === null) return toLogin(request, newCookies);
  const pdf =
    "%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n";
  return bytes(200, "application/pdf", pdf, [["Content-Disposition", 'inline; filename="report.pdf"']]);
};

/** `/payment/…`: a website page; webhooks (POST) answer an empty JSON string. */
export const payment: Handler = (request, context) =>
  request.method === "POST"
    ? json("")
    : website("Payment", "Thank you, the payment was received.")(request, context);

const robots: Handler = (request) => {
  const { scheme, host } = request.effective;
  return bytes(200, "text/plain; charset=utf-8", `User-agent: *\nSitemap: ${scheme}://${host}/sitemap.xml\n`);
};

const sitemap: Handler = (request) => {
  const base = `${request.effective.scheme}://${request.effective.host}`;
  const urls = ["/", "/contactus"].map((path) => `<url><loc>${base}${path}</loc></url>`).join("");
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">${urls}</urlset>\n`;
  return bytes(200, "application/xml;charset=utf-8", xml);
};

/** `/website/lang/<code>?r=`: the target is forced local. */
export const changeLanguage: Handler = (request, context) => {
  const code = request.path.slice("/website/lang/".length);
  return redirect(303, localRedirect(request.params.get("r") ?? "/"), [
    ["Set-Cookie", languageCookie(context.wallMs(), code)],
  ]);
};

/** `/web/tests` is open to any user, portal too; `/web/become` harmless but to an administrator. */
const tests: Handler = (request, context) => {
  const { user, newCookies } = openSession(request, context, false);
  return user === null ? toLogin(request, newCookies) : page(200, "<h1>Odoo test suite (stand-in)</h1>");
};

const become: Handler = (request, context) => {
  const { user, newCookies } = openSession(request, context, false);
  return user === null ? toLogin(request, newCookies) : redirect(303, "/odoo");
};

const profiling: Handler = () => plainError(500, "Profiling is not enabled on this database.");

export const WEB_ROUTES: readonly (readonly [path: string, handler: Handler])[] = [
  ["/", website("Home", "Welcome to the website of the stand-in.")],
  ["/contactus", website("Contact us", "Write to us.")],
  ["/website/info", website("Installed applications", "Discuss, Contacts, CRM, Website")],
  ["/odoo", webClient],
  ["/web", webClient],
  ["/my", my],
  ["/pos/web", pos],
  ["/robots.txt", robots],
  ["/sitemap.xml", sitemap],
  ["/web/tests", tests],
  ["/web/become", become],
  ["/doc", become],
  ["/web/set_profiling", profiling],
];
