/** What a person looks for first on a device, when there is not room for all. */
const FIRST = [
  "cpu",
  "memory",
  "temperature",
  "load",
  "humidity",
  "power",
  "flow",
  "pressure",
  "vibration",
  "disk",
  "network",
  "battery",
  "voltage",
];

function rank(name: string): number {
  const at = FIRST.findIndex((word) => name.startsWith(word));
  return at < 0 ? FIRST.length : at;
}

/** Metrics in the order they are shown: a fleet row takes the first few, one of each sort before a second. */
export function inOrder(metrics: Iterable<string>): string[] {
  const sorted = [...metrics].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
  const seen = new Set<number>();
  const heads: string[] = [];
  const rest: string[] = [];
  for (const name of sorted) {
    const at = rank(name);
    if (at < FIRST.length && !seen.has(at)) heads.push(name);
    else rest.push(name);
    seen.add(at);
  }
  return [...heads, ...rest];
}
