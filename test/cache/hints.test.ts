import t from "tap";
import { hintedPagesMax, type PageFile, PageHints, pagesAgreeing } from "../../src/cache/hints.ts";

const site = "odoo.test";
const files = (...names: readonly string[]): readonly PageFile[] =>
  names.map((name) => ({ path: `/web/assets/0c5bb5f/${name}.js`, as: "script", need: "shown" }));

t.test("a page's files are told when its last pages all named them", async (t) => {
  const hints = new PageHints();
  t.same(hints.of("a"), []);
  hints.learn(site, "a", files("x", "y"));
  t.same(hints.of("a"), files("x", "y"), "from the first page on");
  t.same(hints.of("b"), [], "and no other page's");
  hints.learn(site, "a", files("y", "z"));
  t.same(hints.of("a"), files("y"), "what only one of them named is not told");
  for (let i = 1; i < pagesAgreeing; i += 1) hints.learn(site, "a", files("y", "z"));
  t.same(hints.of("a"), files("y", "z"), "what is long ago does not count");
  hints.learn(site, "a", []);
  t.same(hints.of("a"), []);
});

t.test("invented pages push one another out, and take no more room", async (t) => {
  const hints = new PageHints();
  for (let i = 0; i < 3 * hintedPagesMax; i += 1) {
    hints.learn(site, `page ${i}`, files("x"));
    hints.learn(site, "home", files("y"));
  }
  t.same(hints.of("page 0"), []);
  t.same(hints.of("home"), files("y"), "what is asked for stays");
});

t.test("a style sheet is as urgent as the last page that named it says", async (t) => {
  const path = "/web/assets/0c5bb5f/a.css";
  const sheet = (need: PageFile["need"]): readonly PageFile[] => [...files("x"), { path, as: "style", need }];
  const hints = new PageHints();
  t.equal(hints.urgencyOf({ authority: site, path }), null, "nobody knows");
  hints.learn(site, "client", sheet("behind-script"));
  t.equal(hints.urgencyOf({ authority: site, path }), 3);
  hints.learn(site, "report", sheet("print"));
  t.equal(hints.urgencyOf({ authority: site, path }), 5);
  hints.learn(site, "site", sheet("shown"));
  t.equal(hints.urgencyOf({ authority: site, path }), null, "as browsers ask for it");
  hints.learn(site, "client", sheet("print"));
  hints.clear();
  t.equal(hints.urgencyOf({ authority: site, path }), null);
});
