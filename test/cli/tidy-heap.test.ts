import { execFileSync } from "node:child_process";
import t from "tap";

t.test("nothing is optimized while a server starts, and what runs often is from then on", async (t) => {
  const program = `
    import { optimizeFromNowOn, startUnoptimized } from ${JSON.stringify(new URL("../../src/cli/tidy-heap.js", import.meta.url).href)};
    const isOptimized = new Function("f", "return %ActiveTierIsMaglev(f) || %ActiveTierIsTurbofan(f)");
    function hot(n) { let sum = 0; for (let i = 0; i < n; i++) sum += i % 7; return sum; }
    async function optimized() {
      for (let i = 0; i < 20_000; i++) {
        hot(100);
        if (i % 100 === 0) await new Promise(setImmediate);
        if (isOptimized(hot)) return true;
      }
      return false;
    }
    startUnoptimized();
    const before = await optimized();
    optimizeFromNowOn();
    console.log(before, await optimized());
  `;
  const args = ["--allow-natives-syntax", "--input-type=module", "--eval", program];
  t.equal(execFileSync(process.execPath, args, { encoding: "utf8" }), "false true\n");
});
