import t from "tap";
import type { CanonicalPath } from "../../src/base/brands.ts";
import { isCrawler } from "../../src/upstream/crawlers.ts";
import { laneOf } from "../../src/upstream/lane-of.ts";

const firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";

interface Asked {
  readonly login?: boolean;
  readonly known?: boolean;
  readonly agent?: string;
}

function lane(target: string, { login = false, known = false, agent = firefox }: Asked = {}): string {
  const [path = "", query = ""] = target.split("?");
  const language = /^\/(?:fr|en)(\/.*)$/.exec(path)?.[1];
  const paths = (language === undefined ? [path] : [path, language]) as CanonicalPath[];
  const fields = agent === "" ? [] : ["User-Agent", agent];
  return laneOf({ paths, query, fields }, login, known);
}

t.test("each request has a lane", async (t) => {
  const cases: readonly (readonly [string, Asked, string])[] = [
    ["/web/health", {}, "health"],
    ["/web/health", { known: true }, "health"],
    ["/web/login", {}, "login"],
    ["/fr/web/login", {}, "login"],
    ["/web/session/authenticate", { login: true }, "login"],
    ["/odoo/contacts", { known: true }, "user"],
    ["/web/dataset/call_kw/res.partner/read", { known: true }, "user"],
    ["/my/orders", { known: true }, "api"],
    ["/web/dataset/call_kw/res.partner/read", {}, "api"],
    ["/xmlrpc/2/object", {}, "api"],
    ["/jsonrpc", { agent: "python-requests/2.32" }, "api"],
    ["/json/2/res.partner/search", { agent: "" }, "api"],
    ["/", {}, "site"],
    [
      "/shop",
      { agent: "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)" },
      "crawler",
    ],
    ["/shop", { agent: "" }, "crawler"],
    ["/shop", { known: true, agent: "Googlebot" }, "user"],
    ["/report/pdf/sale.report_saleorder/1", { known: true }, "report"],
    ["/report/download", { known: true }, "report"],
    ["/fr/report/pdf/x/1", {}, "report"],
    ["/report", {}, "report"],
    ["/my/invoices/7?report_type=pdf&download=true", { known: true }, "report"],
    ["/reporting", {}, "site"],
  ];
  for (const [target, asked, wanted] of cases)
    t.equal(lane(target, asked), wanted, `${target} ${JSON.stringify(asked)}`);
});

t.test("bar codes of a report do not wait for the report that asks for them", async (t) => {
  t.equal(lane("/report/barcode/QR/x", { known: true }), "user");
  t.equal(lane("/report/barcode", {}), "site");
});

t.test("a stranger's claims lead to no higher lane", async (t) => {
  t.equal(lane("/shop?login=1&session_id=abc"), "site");
  t.equal(lane("/xmlrpcs"), "site");
  t.equal(lane("/web/healthy"), "site");
});

t.test("browsers are no crawlers, programs that read whole sites are", async (t) => {
  for (const agent of [
    firefox,
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Mobile/15E148 Safari/604.1",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0",
    "Mozilla/5.0 (Unknown; Linux x86_64) AppleWebKit/538.1 (KHTML, like Gecko) wkhtmltopdf Safari/538.1",
  ])
    t.notOk(isCrawler(agent), agent);
  for (const agent of [
    "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)",
    "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)",
    "Mozilla/5.0 (compatible; YandexBot/3.0)",
    "facebookexternalhit/1.1",
    "Scrapy/2.12",
    "",
  ])
    t.ok(isCrawler(agent), agent);
  t.notOk(isCrawler(`${"a".repeat(600)}bot`), "only its beginning is looked at");
});
