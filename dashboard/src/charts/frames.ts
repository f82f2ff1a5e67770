/**
 * The one animation frame of a screen. Whoever draws registers a painter; whoever has news calls `invalidate`.
 * Painters look at versions and draw what is dirty. Nothing runs while nothing changes.
 */
type Painter = (now: number) => void;

const painters = new Set<Painter>();
const after: (() => void)[] = [];
let pending = false;

export function onFrame(painter: Painter): () => void {
  painters.add(painter);
  invalidate();
  return () => painters.delete(painter);
}

export function invalidate(): void {
  if (pending) return;
  pending = true;
  requestAnimationFrame(run);
}

/** Called once, after the next frame has been handed over to the screen. */
export function afterFrame(tell: () => void): void {
  after.push(tell);
}

function run(now: number): void {
  pending = false;
  for (const painter of painters) painter(now);
  if (!after.length) return;
  const tell = after.splice(0);
  // A task queued within a frame runs after it was painted.
  setTimeout(() => {
    for (const call of tell) call();
  }, 0);
}
