import t from "tap";
import type { Certificate } from "../../src/tls/certificate.ts";
import { outlookOf } from "../../src/tls/outlook.ts";

const dayMs = 86_400_000;
const certificate = (serial: string, name: string, days: number): Certificate => ({
  ...{ names: [name], issuer: "CN=test", serial, certPem: "", keyPem: "secret", warnings: [] },
  ...{ notBeforeMs: -dayMs, notAfterMs: days * dayMs },
});

t.test("each certificate in use has its end and its next renewal, and no key", async (t) => {
  const ordered = certificate("0a", "erp.example.com", 30.5);
  const local = certificate("0b", "localhost", -0.5);
  const status = {
    ...{ names: ["erp.example.com"], directory: "https://ca.example/dir", serial: "0a" },
    ...{ renewAtMs: 20 * dayMs, renewalWindow: null, failures: 0, nextTryMs: null, lastFailure: null },
  };
  const material = { certificates: [ordered, local], renewAtWallMs: 5 * dayMs, renewsSerial: "0b" };
  const seen = outlookOf(material, status, (one) => (one === ordered ? dayMs : null), 0);
  t.same(seen, [
    {
      ...{ names: ["erp.example.com"], issuer: "CN=test", notAfterMs: 30.5 * dayMs, daysLeft: 30 },
      ...{ renewAtMs: 20 * dayMs, stapledUntilMs: dayMs },
    },
    {
      ...{ names: ["localhost"], issuer: "CN=test", notAfterMs: -0.5 * dayMs, daysLeft: -1 },
      ...{ renewAtMs: 5 * dayMs, stapledUntilMs: null },
    },
  ]);
  const [files] = outlookOf({ ...material, renewsSerial: null, renewAtWallMs: null }, null, () => null, 0);
  t.equal(files?.renewAtMs, null, "own files are renewed by whoever made them");
});
