import type { DeviceSummary, Named } from "../wire/types";

/** What the models of some devices say of a metric, where each that has it says the same: else a chart has no one unit. */
export function agreed(devices: DeviceSummary[]): Record<string, Named> {
  const said = new Map<string, Named | null>();
  for (const { metrics, named = {} } of devices)
    for (const metric of metrics) {
      const one = named[metric] ?? null;
      const before = said.get(metric);
      said.set(metric, before === undefined || JSON.stringify(before) === JSON.stringify(one) ? one : null);
    }
  return Object.fromEntries([...said].filter((entry): entry is [string, Named] => entry[1] !== null));
}
