import t from "tap";
import { lastingFields } from "../../src/reply/lasting.ts";
import { securityHeaders } from "../../src/reply/security.ts";

const plan = () =>
  securityHeaders({
    preset: "standard",
    domains: [],
    hstsMaxAgeSeconds: 300,
    hstsSubdomains: false,
    hstsPreload: false,
    cspScriptSources: [],
    cspReports: true,
    upgradeInsecure: false,
  }).classFor("odoo.test", true);

t.test("after any number of reloads the fields of heads that are alike are worked out once", async (t) => {
  const likeness = {};
  for (let reload = 0; reload < 100; reload += 1) {
    const security = plan();
    let times = 0;
    const fieldsOf = () =>
      lastingFields(likeness, security, null, () => {
        times += 1;
        return ["A", "b"];
      });
    t.equal(fieldsOf(), fieldsOf());
    t.equal(times, 1);
  }
});
