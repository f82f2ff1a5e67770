import type { Group } from "./fleet-list";

/** One line of the list: the head of a group, or a device; `place` is a device's number among all, from 1. */
export type Line =
  | { kind: "head"; key: string; top: number; height: number; group: Group }
  | { kind: "device"; key: string; top: number; height: number; group: Group; index: number; place: number };

export interface Layout {
  lines: Line[];
  /** Of all lines, in px. */
  height: number;
  devices: number;
}

/** Where each line of a grouped list lies; without heads (`headHeight` 0) it is one list. */
export function layOut(groups: Group[], rowHeight: number, headHeight: number): Layout {
  const lines: Line[] = [];
  let top = 0;
  let place = 0;
  for (const group of groups) {
    if (headHeight) {
      lines.push({ kind: "head", key: `group ${group.name}`, top, height: headHeight, group });
      top += headHeight;
    }
    group.devices.forEach((device, index) => {
      place += 1;
      const key = `${group.name} ${device.name}`;
      lines.push({ kind: "device", key, top, height: rowHeight, group, index, place });
      top += rowHeight;
    });
  }
  return { lines, height: top, devices: place };
}

/** The lines that lie between two heights: from the first up to and without the last. */
export function between({ lines }: Layout, from: number, to: number): [first: number, end: number] {
  return [search(lines, from, true), search(lines, to, false)];
}

/** Index of the first line that ends after `height` (`ends`), or begins at or after it. */
function search(lines: Line[], height: number, ends: boolean): number {
  let low = 0;
  let high = lines.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const line = lines[middle] as Line;
    if (ends ? line.top + line.height <= height : line.top < height) low = middle + 1;
    else high = middle;
  }
  return low;
}
