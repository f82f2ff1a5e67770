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

interface Ranked {
  name: string;
  rank: number;
  words: number;
}

function ranked(name: string): Ranked {
  const words = name.toLowerCase().split(/[^a-z0-9]+/);
  const at = FIRST.findIndex((word) => words.includes(word));
  return { name, rank: at < 0 ? FIRST.length : at, words: words.length };
}

/**
 * Metrics in the order they are shown: a fleet row takes the first few, so one of each sort comes before a second,
 * and the plain one ("cpu_percent") before its parts ("cpu_core_0_percent").
 */
export function inOrder(metrics: Iterable<string>): string[] {
  const sorted = [...metrics]
    .map(ranked)
    .sort((a, b) => a.rank - b.rank || a.words - b.words || (a.name < b.name ? -1 : 1));
  const seen = new Set<number>();
  const heads: string[] = [];
  const rest: string[] = [];
  for (const { name, rank } of sorted) {
    if (rank < FIRST.length && !seen.has(rank)) heads.push(name);
    else rest.push(name);
    seen.add(rank);
  }
  return [...heads, ...rest];
}
