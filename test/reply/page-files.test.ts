import t from "tap";
import {
  bundleAt,
  clientBundles,
  otherBundle,
  PageHead,
  pageFiles,
  pageHeadBytesMax,
} from "../../src/reply/page-files.ts";

const style = "/web/assets/4a79452/web.assets_web.min.css";
const script = "/web/assets/1/0c5bb5f/web.assets_web.min.js";
/** As Odoo 19 writes the head of its web client. */
const page = `<!DOCTYPE html>
<html><head>
  <meta charset="utf-8"/>
  <link rel="icon" href="/web/static/img/favicon.ico" type="image/x-icon"/>
  <script type="text/javascript">odoo = {csrf_token: "a<b>c"}; // <script src="/web/assets/0000000/evil.js">
  </script>
  <link type="text/css" rel="stylesheet" href="${style}"/>
  <link type="text/css" rel="stylesheet" media="print" href="/web/assets/2b9d398/web.assets_web_print.min.css"/>
  <script type="text/javascript" src='${script}' onerror="__odooAssetError=1"></script>
  <script type="text/javascript" data-src="/web/assets/1111111/lazy.min.js"></script>
</head><body><script src="/web/assets/2222222/below.js"></script></body></html>`;

t.test("the bundles a page needs to be shown are found, as it names them", async (t) => {
  const found = pageFiles(page.replace(/ \/\/ <script[^\n]*/, ""));
  t.same(found, [
    { path: style, as: "style", need: "shown" },
    { path: "/web/assets/2b9d398/web.assets_web_print.min.css", as: "style", need: "print" },
    { path: script, as: "script", need: "shown" },
  ]);
});

t.test("a style sheet yields to a script before it that the browser has to run first", async (t) => {
  const sheet = `<link rel="stylesheet" href="${style}"/>`;
  const yields = (head: string) =>
    pageFiles(`<head>${head}</head>`).find(({ as }) => as === "style")?.need === "behind-script";
  t.equal(yields(`<script src="${script}"></script>${sheet}`), true, "the web client");
  t.equal(yields(`${sheet}<script src="${script}"></script>`), false, "the website");
  t.equal(yields(`<script>odoo = {};</script>${sheet}`), false, "no script of its own way");
  for (const word of ["defer", 'defer="defer"', "async", 'type="module"', "nomodule"])
    t.equal(yields(`<script src="${script}" ${word}></script>${sheet}`), false, word);
});

t.test("what a browser would not take from what was loaded ahead is not named", async (t) => {
  const tags = [
    `<script src="${script}" crossorigin></script>`,
    `<script src="${script}" integrity="sha256-x"></script>`,
    `<script src="${script}" type="module"></script>`,
    `<script src="${script}" nomodule></script>`,
    `<link href="${style}" rel="preload" as="style">`,
    `<link href="${style}" rel="alternate stylesheet">`,
    `<link href="${style}" rel="stylesheet" media="(min-width: 90em)">`,
    `<link href="${style}" rel="stylesheet" disabled>`,
  ];
  for (const tag of tags) t.same(pageFiles(`<head>${tag}</head>`), [], tag);
  t.same(pageFiles(`<head><LINK REL=Stylesheet HREF=${style} media=screen></head>`), [
    { path: style, as: "style", need: "shown" },
  ]);
});

t.test("nothing but a bundle with a hash of its content is named, whatever a page says", async (t) => {
  for (const path of [
    "https://evil.test/web/assets/0c5bb5f/a.js",
    "//evil.test/web/assets/0c5bb5f/a.js",
    "/web/content/1/a.js",
    "/web/assets/any/a.js",
    "/web/assets/debug/a.js",
    "/web/assets/0c5bb5f/../../../my/account/a.js",
    "/web/assets/0c5bb5f/a.js?x=1",
    "/web/assets/0c5bb5f/a.js>; rel=preload, <https://evil.test/",
    "/web/assets/0c5bb5f/a\r\nSet-Cookie: a=b.js",
    "/web/assets/0c5bb5f/a",
    "/web/static/src/a.js",
  ])
    t.same(pageFiles(`<head><script src="${path}"></script></head>`), [], path);
});

t.test(
  "a page's head is put together from pieces, to a bound, and long attributes cost nothing",
  async (t) => {
    const head = new PageHead();
    for (const piece of page.match(/[\s\S]{1,7}/g) ?? []) head.data(Buffer.from(piece));
    t.same(head.files, pageFiles(page));
    const long = new PageHead();
    long.data(Buffer.from(`<head>${" ".repeat(pageHeadBytesMax)}`));
    long.data(Buffer.from(`<script src="${script}"></script></head>`));
    t.same(long.files, [], "what stands behind the bound is not looked for");
    const startMs = performance.now();
    for (const text of ["<script ", "<link a=", "<link a='", "<link a a"])
      pageFiles(text.repeat(pageHeadBytesMax / text.length));
    t.ok(performance.now() - startMs < 2_000, "and no text takes long");
    const many = Array.from({ length: 30 }, (_, i) => `<script src="/web/assets/0c5bb5f/${i}.js"></script>`);
    t.equal(pageFiles(many.join("")).length, 8);
  },
);

t.test("where a bundle is, out of Odoo's redirect", async (t) => {
  const bundle = clientBundles.find(({ as }) => as === "script") ?? { name: "none" };
  t.equal(otherBundle(bundle), "/web/assets/0000000/web.assets_web.min.js");
  const at = (location: string | null) => bundleAt(location, bundle, "odoo.test:8443");
  t.equal(at(script), script);
  t.equal(at(`https://odoo.test:8443${script}`), script, "its own address in full");
  for (const location of [
    null,
    "",
    style,
    `${script}?debug=1`,
    `https://odoo.test${script}`,
    `http://odoo.test:8443${script}`,
    `//odoo.test:8443${script}`,
    "/web/assets/debug/web.assets_web.min.js",
    "/web/assets/0c5bb5f/../0c5bb5f/web.assets_web.min.js",
    "/web/login",
  ])
    t.equal(at(location), null, String(location));
});
