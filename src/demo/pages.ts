import { CLIENT_FILES, fileUrl, type LoadedFile, WEBSITE_FILES } from "./pageload.ts";

/** Sentence on every page: nobody should take the stand-in for a real Odoo. */
export const STAND_IN =
  "This is the stand-in Odoo of odoo-gateway: it behaves like Odoo on the wire and stores nothing.";

/** The text that must never reach a stranger. */
export const MANAGER_MARKER = "Odoo database manager (stand-in)";

export function escapeHtml(text: string): string {
  return text
    .replaceAll("&", "&amp;")
    .replaceAll("<", "&lt;")
    .replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;");
}

function link(one: LoadedFile): string {
  const url = escapeHtml(fileUrl(one));
  if (one.content === "css") return `<link rel="stylesheet" href="${url}"/>`;
  if (one.content === "woff2")
    return `<link rel="preload" as="font" type="font/woff2" crossorigin="anonymous" href="${url}"/>`;
  if (one.content === "ico") return `<link rel="shortcut icon" type="image/x-icon" href="${url}"/>`;
  return `<script defer="defer" src="${url}"></script>`;
}

const WEBSITE_HEAD = WEBSITE_FILES.filter((one) =>
  /font|frontend\.min|frontend_minimal|favicon/.test(one.path),
)
  .map(link)
  .join("\n");
const CLIENT_HEAD = CLIENT_FILES.filter((one) => /assets_web\.min|assets_web_print|favicon/.test(one.path))
  .map((one) => (one.path.includes("print") ? link(one).replace("/>", ' media="print"/>') : link(one)))
  .join("\n");

/** Pads with an HTML comment, so that a page weighs what Odoo's does. */
function padded(html: string, sizeBytes: number): string {
  const missing = sizeBytes - Buffer.byteLength(html) - 10;
  if (missing < 0) return html;
  const line =
    '                <li role="presentation" class="nav-item"><a class="nav-link"><span>Menu</span></a></li>\n';
  return html.replace(
    "</body>",
    `<!--\n${line.repeat(Math.ceil(missing / line.length)).slice(0, missing)}\n--></body>`,
  );
}

/** A page of the website. */
export function websiteHtml(title: string, content: string, worker: string, sizeBytes = 20_000): string {
  return padded(
    `<!DOCTYPE html>
<html lang="en-US" data-website-id="1">
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<meta name="generator" content="Odoo"/>
<title>${escapeHtml(title)} | My Website</title>
${WEBSITE_HEAD}
<script id="web.layout.odooscript" type="text/javascript">
var odoo = {csrf_token: "", debug: "", __session_info__: {"is_admin": false, "websocket_worker_version": "${worker}", "registry_hash": "b3d8a1c0"}};
</script>
</head>
<body>
<div id="wrapwrap">
<header class="o_header"><a class="navbar-brand" href="/"><img src="/web/image/website/1/logo/My%20Website?unique=1ea11c5" alt="My Website" height="40"/></a>
<nav><a href="/">Home</a> <a href="/contactus">Contact us</a> <a href="/web/login">Sign in</a></nav></header>
<main>${content}</main>
<footer><p>${STAND_IN}</p><img src="/web/static/img/odoo_logo_tiny.png" alt="Odoo" width="62" height="20"/></footer>
</div>
</body>
</html>
`,
    sizeBytes,
  );
}

export interface LoginForm {
  readonly csrfToken: string;
  readonly redirect: string;
  readonly login: string;
  /** Shown as `alert alert-danger`; empty: none. */
  readonly problem: string;
}

export function loginHtml(form: LoginForm, worker: string): string {
  const alert =
    form.problem === "" ? "" : `<p class="alert alert-danger" role="alert">${escapeHtml(form.problem)}</p>`;
  const content = `<form class="oe_login_form" role="form" method="post" action="/web/login">
<h1>Log in</h1>
<input type="hidden" name="csrf_token" value="${form.csrfToken}"/>
<div class="mb-3 field-login"><label for="login">Email</label><input type="text" name="login" id="login" autocomplete="username" required="required" autofocus="autofocus" value="${escapeHtml(form.login)}"/></div>
<div class="mb-3"><label for="password">Password</label><input type="password" name="password" id="password" autocomplete="current-password" required="required"/></div>
${alert}
<input type="hidden" name="redirect" value="${escapeHtml(form.redirect)}"/>
<button type="submit" class="btn btn-primary">Log in</button>
<p><a href="/web/reset_password">Reset Password</a></p>
<p class="hint">Users: admin/admin, demo/demo, portal/portal, carol/carol (code 123456)</p>
</form>`;
  return websiteHtml("Login", content, worker, 23_300);
}

/** A small form with one field: second factor, password reset, sign-up. */
export function formHtml(
  title: string,
  action: string,
  csrfToken: string,
  field: string,
  notice: string,
  worker: string,
): string {
  const content = `<form class="oe_login_form" method="post" action="${action}"><h1>${escapeHtml(title)}</h1>
<input type="hidden" name="csrf_token" value="${csrfToken}"/>
<div class="mb-3"><label>${escapeHtml(field)}</label><input type="text" name="${field}" autocomplete="off"/></div>
${notice}<button type="submit" class="btn btn-primary">Confirm</button></form>`;
  return websiteHtml(title, content, worker, 21_000);
}

/** The web client's page: no website around it, a Content-Length, the big bundles. */
export function clientHtml(userName: string, worker: string): string {
  return padded(
    `<!DOCTYPE html>
<html>
<head>
<meta charset="utf-8"/>
<meta name="viewport" content="width=device-width, initial-scale=1"/>
<title>Odoo</title>
${CLIENT_HEAD}
<link rel="manifest" href="/web/manifest.webmanifest" crossorigin="use-credentials"/>
<script type="text/javascript">
var odoo = {csrf_token: "", debug: "", __session_info__: {"websocket_worker_version": "${worker}", "db": "prod", "server_version": "${worker.split("-")[0] ?? ""}"}};
</script>
</head>
<body class="o_web_client">
<header class="o_main_navbar"><span class="o_menu_brand">Discuss</span><span class="o_user_menu">${escapeHtml(userName)} · <a href="/web/session/logout">Log out</a></span></header>
<div class="o_action_manager"><h1>Welcome, ${escapeHtml(userName)}</h1>
<p>${STAND_IN}</p>
<p>Live bus connection: <strong id="bus-state">connecting…</strong></p>
<p>Requests of the page load: <strong id="load-state">running…</strong></p>
<p>Try: <a href="/demo/echo">what Odoo saw of your request</a>, <a href="/my">the portal</a>, <a href="/">the website</a>, <a href="/web/database/manager">the database manager</a> (refused by the gateway).</p></div>
</body>
</html>
`,
    6_342,
  );
}

export function managerHtml(listDb: boolean, problem: string): string {
  const alert = problem === "" ? "" : `<div class="alert alert-danger">${escapeHtml(problem)}</div>`;
  const list = listDb
    ? `<ul class="list-group"><li><a href="/odoo?db=prod">prod</a></li></ul><form action="/web/database/create" method="post"><input name="master_pwd" type="password"/><button>Create Database</button></form>`
    : "<p>The database manager has been disabled by the administrator</p>";
  return padded(
    `<!DOCTYPE html>
<html>
<head><meta charset="utf-8"/><title>Odoo</title></head>
<body><h1>${MANAGER_MARKER}</h1>${alert}${list}</body>
</html>
`,
    42_000,
  );
}

/** Rules that matter at the head of the style bundles: plain, in Odoo's colours. */
export const STYLE_HEAD = `:root{--o-brand:#714b67;--o-action:#017e84}
body{margin:0;font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;color:#374151;background:#f8f9fa}
a{color:var(--o-action)}
.o_header{display:flex;justify-content:space-between;align-items:center;padding:12px 32px;background:#fff;border-bottom:1px solid #dee2e6}
.o_header nav a{margin-left:20px;text-decoration:none}
main{min-height:60vh;padding:40px 32px;max-width:960px;margin:0 auto}
footer{padding:20px 32px;background:#212529;color:#adb5bd;font-size:13px}
.oe_login_form{max-width:340px;margin:24px auto;padding:28px;background:#fff;border:1px solid #dee2e6;border-radius:6px}
.oe_login_form label{display:block;font-weight:600;margin-top:12px}
.oe_login_form input:not([type=hidden]){width:100%;box-sizing:border-box;padding:8px;border:1px solid #ced4da;border-radius:4px}
.btn-primary{width:100%;margin-top:18px;padding:9px;border:0;border-radius:4px;background:var(--o-brand);color:#fff;font-size:15px;cursor:pointer}
.alert{padding:10px 14px;border-radius:4px}.alert-danger{background:#f8d7da;color:#842029}.alert-success{background:#d1e7dd;color:#0f5132}
.hint{font-size:13px;color:#6c757d}
.o_main_navbar{display:flex;justify-content:space-between;padding:11px 18px;background:var(--o-brand);color:#fff}
.o_main_navbar a{color:#fff}
.o_action_manager{max-width:820px;margin:32px auto;padding:24px 32px;background:#fff;border:1px solid #dee2e6;border-radius:6px}
`;

function fetchList(): string {
  const wanted = CLIENT_FILES.filter((one) => !/assets_web|favicon|manifest/.test(one.path));
  return JSON.stringify(wanted.map((one) => [one.content === "jsonrpc" ? "POST" : "GET", fileUrl(one)]));
}

/** Runs at the end of the big bundle: the requests of the real web client, and the bus. */
export const CLIENT_TAIL = `
(function(){
var files=${fetchList()},bad=0,left=files.length,byId=function(id){return document.getElementById(id)};
function done(){left-=1;if(left===0&&byId("load-state"))byId("load-state").textContent=bad===0?"all "+files.length+" answered":bad+" of "+files.length+" failed";}
files.forEach(function(f){var o={method:f[0],credentials:"same-origin"};if(f[0]==="POST"){o.headers={"Content-Type":"application/json"};o.body=JSON.stringify({jsonrpc:"2.0",method:"call",id:1,params:{}});}
fetch(f[1],o).then(function(r){if(!r.ok)bad+=1;return r.arrayBuffer();}).catch(function(){bad+=1;}).then(done);});
var version=odoo.__session_info__.websocket_worker_version;
var ws=new WebSocket(location.origin.replace(/^http/,"ws")+"/websocket?version="+version);
ws.onopen=function(){ws.send(JSON.stringify({event_name:"subscribe",data:{channels:[],last:0}}));ws.send(JSON.stringify({event_name:"demo_echo",data:"hello"}));};
ws.onmessage=function(){if(byId("bus-state"))byId("bus-state").textContent="connected";};
ws.onclose=function(e){if(byId("bus-state"))byId("bus-state").textContent="closed ("+e.code+")";};
})();
`;

/** Runs at the end of the small website bundle: the lazy bundle and the translations. */
export const WEBSITE_TAIL = `
(function(){
var lazy=document.createElement("script");lazy.src="/web/assets/1/646b01d/web.assets_frontend_lazy.min.js";document.head.appendChild(lazy);
fetch("/website/translations?hash=&lang=en_US").catch(function(){});
})();
`;
