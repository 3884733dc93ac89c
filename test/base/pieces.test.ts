import t from "tap";
import { collectPiecesBy, countPiece, newPiece } from "../../src/base/pieces.ts";

t.test("pieces of bodies are collected each 8 MiB, small ones like any object", async (t) => {
  let collected = 0;
  collectPiecesBy(() => {
    collected += 1;
  });
  for (let i = 0; i < 128; i += 1) t.equal(newPiece(64 * 1024).length, 64 * 1024);
  t.equal(collected, 1);
  for (let i = 0; i < 127; i += 1) countPiece(64 * 1024);
  t.equal(collected, 1);
  countPiece(64 * 1024);
  t.equal(collected, 2);
  for (let i = 0; i < 100_000; i += 1) countPiece(1_000);
  t.equal(collected, 2);
});
