import t from "tap";
import { passedPiecesMax, Turns } from "../../src/cache/turns.ts";

/** Says who works, in order; each works until it is told to stop. */
function workshop(atOnce: number) {
  const turns = new Turns(atOnce);
  const atWork = new Map<string, () => void>();
  const began: string[] = [];
  return {
    turns,
    began,
    take: (name: string, order = turns.enter(3)) =>
      turns.take(order, (over) => {
        began.push(name);
        atWork.set(name, over);
      }),
    stop: (name: string) => atWork.get(name)?.(),
  };
}

t.test("the more urgent file's next piece goes first, then the file that was begun first", async (t) => {
  const { turns, began, take, stop } = workshop(1);
  const print = turns.enter(4);
  const sheet = turns.enter(3);
  const script = turns.enter(1);
  const other = turns.enter(3);
  take("print", print);
  t.same(began, ["print"], "alone it waits for nobody");
  take("other", other);
  take("sheet", sheet);
  take("script", script);
  stop("print");
  take("print again", print);
  stop("script");
  stop("sheet");
  stop("other");
  t.same(began, ["print", "script", "sheet", "other", "print again"]);
});

t.test("as many work as may, and a turn ends once however often it is ended", async (t) => {
  const { began, take, stop } = workshop(2);
  for (const name of ["a", "b", "c", "d", "e"]) take(name);
  t.same(began, ["a", "b"]);
  stop("a");
  stop("a");
  t.same(began, ["a", "b", "c"]);
  stop("c");
  stop("b");
  t.same(began, ["a", "b", "c", "d", "e"]);
});

t.test("on a machine with one processor there is a turn still", async (t) => {
  const { began, take } = workshop(0);
  take("a");
  t.same(began, ["a"]);
});

t.test("who calls one file after another most urgent holds up nobody for ever", async (t) => {
  const { turns, began, take, stop } = workshop(1);
  take("urgent 0", turns.enter(0));
  const sheet = turns.enter(5);
  take("sheet", sheet);
  for (let i = 0; !began.includes("sheet") && i < 10 * passedPiecesMax; i += 1) {
    take(`urgent ${i + 1}`, turns.enter(0));
    stop(`urgent ${i}`);
  }
  t.equal(began.at(-1), "sheet");
  t.equal(began.length - 2, passedPiecesMax, "so many went before it");
  const next = `urgent ${passedPiecesMax + 1}`;
  take("sheet again", sheet);
  take("last", turns.enter(0));
  stop("sheet");
  t.equal(began.at(-1), "sheet again", "the rest of it waits for none that came later");
  stop("sheet again");
  t.equal(began.at(-1), next);
});
