import fc from "fast-check";
import t from "tap";
import { readCspReports } from "../../src/guard/csp-report.ts";
import { h1, hostOf } from "../exchange/clients.ts";
import { startTestGateway } from "../support/gateway.ts";

const path = "/.well-known/csp-report";
const type = "Content-Type: application/csp-report";

t.test(
  "nobody writes what he likes into the table: words of a fixed set, origins, plain paths",
  async (t) => {
    const words = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.webUrl({ withQueryParameters: true, withFragments: true }),
      fc.constantFrom(
        "inline",
        "",
        "self",
        "data:x",
        "blob:x",
        "https://a.example/\u001b[2J",
        "https://[::1]:1/",
      ),
      fc.constantFrom(
        "https://erp.example.com/\u0000\u202e?t=secret",
        "https://u:p@erp.example.com/x#secret",
      ),
      fc.constantFrom("script-src-elem", "IMG-SRC 'self'", "constructor", "__proto__"),
    );
    const value = fc.oneof(words, fc.anything());
    const members = [
      ...["documentURL", "document-uri", "effectiveDirective", "effective-directive", "violated-directive"],
      ...["blockedURL", "blocked-uri", "sourceFile", "source-file"],
    ];
    const report = fc.record(Object.fromEntries(members.map((name) => [name, value])), { requiredKeys: [] });
    const shown = { directive: /^[a-z-]+-(?:src|uri|action|ancestors)$/, source: /^[!-~]{1,300}$/ };
    let found = 0;
    const ours = (host: string) => host === "erp.example.com";
    fc.assert(
      fc.property(fc.array(report, { maxLength: 5 }), (reports) => {
        const list = JSON.stringify(reports.map((body) => ({ type: "csp-violation", body })));
        const reading = readCspReports("application/reports+json", list, ours);
        if (reading === null) return false;
        found += reading.findings.length;
        return (
          reading.findings.length + reading.ignored === reports.length &&
          reading.findings.every(
            ({ directive, source, page }) =>
              shown.directive.test(directive) &&
              shown.source.test(source) &&
              /^erp\.example\.com(?::\d+)?\/[!->@-~]*…?$/.test(page) &&
              !`${source}${page}`.includes("secret"),
          )
        );
      }),
      {
        numRuns: 2_000,
        examples: [
          [
            [
              {
                documentURL: "https://erp.example.com/x?secret",
                effectiveDirective: "img-src",
                blockedURL: "",
              },
            ],
          ],
        ],
      },
    );
    t.ok(found > 0, "some were read");
  },
);

t.test("bodies made to hurt the reader are answered, and the gateway serves on", async (t) => {
  const gateway = await startTestGateway({ demo: { workers: 4 } });
  t.teardown(() => gateway.close());
  gateway.demo.forget();
  const nested = `{"csp-report":${"[".repeat(30_000)}${"]".repeat(30_000)}}`;
  const wide = `{"csp-report":{${Array.from({ length: 5_000 }, (_, i) => `"k${i}":1`).join()}}}`;
  const document = `"document-uri":"https://${hostOf(gateway)}/x"`;
  for (const [body, status] of [
    [nested, 204],
    [wide, 204],
    ["[".repeat(60_000), 400],
    ["\x00".repeat(1_000), 400],
    ['{"csp-report":{"document-uri":"\xff\xfe\x80"}}', 204],
    ['{"__proto__":{"csp-report":{}}}', 400],
    ['{"csp-report":{},"csp-report":null}', 400],
    [
      `{"csp-report":{${document},"effective-directive":"img-src","blocked-uri":"https://${"a.".repeat(20_000)}example/"}}`,
      204,
    ],
    [
      `{"csp-report":{${document},"effective-directive":"${"script-src ".repeat(5_000)}","blocked-uri":"x"}}`,
      204,
    ],
  ] as const)
    t.equal((await h1(gateway, `POST ${path}`, [type], body)).status, status, body.slice(0, 40));
  t.same(gateway.running.shared.cspReports.list(), []);
  t.equal(gateway.demo.requests.length, 0, "Odoo was not asked");
  t.notOk(gateway.events.some((event) => event.type === "error"));
  t.equal((await h1(gateway, "GET /web/login")).status, 200);
});

t.test("another site's page is not let send reports by its visitors", async (t) => {
  const gateway = await startTestGateway();
  t.teardown(() => gateway.close());
  const asking = ["Origin: https://evil.example", "Access-Control-Request-Method: POST"];
  const asked = await h1(gateway, `OPTIONS ${path}`, [
    ...asking,
    "Access-Control-Request-Headers: content-type",
  ]);
  t.equal(asked.status, 405);
  t.notMatch(asked.text, /access-control/i);
  // Without asking it may send these types only.
  for (const plain of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
    t.equal((await h1(gateway, `POST ${path}`, [`Content-Type: ${plain}`], '{"csp-report":{}}')).status, 415);
});
