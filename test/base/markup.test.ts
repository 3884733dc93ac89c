import t from "tap";
import { escapeMarkup } from "../../src/base/markup.ts";

t.test("text from outside makes no element and ends no attribute", (t) => {
  t.equal(escapeMarkup(`<b class="x" id='y'>&amp;`), "&lt;b class=&quot;x&quot; id=&#39;y&#39;&gt;&amp;amp;");
  t.end();
});
