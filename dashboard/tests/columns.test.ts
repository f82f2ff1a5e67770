import { describe, expect, it } from "vitest";
import { Columns } from "../src/wire/columns";

const keys = (columns: Columns) => [...columns.view(0)];
const values = (columns: Columns) => [...columns.view(1)];

describe("Columns", () => {
  it("keeps the newest rows and forgets the oldest", () => {
    const columns = new Columns(2, 4);
    for (let t = 0; t < 100; t += 1) columns.upsert([t, t * 2]);
    expect(keys(columns)).toEqual([96, 97, 98, 99]);
    expect(values(columns)).toEqual([192, 194, 196, 198]);
  });

  it("amends a row in place, the newest and an older one", () => {
    const columns = new Columns(2, 4);
    for (const t of [10, 20, 30]) columns.upsert([t, 0]);
    columns.upsert([30, 3]);
    columns.upsert([10, 1]);
    expect(keys(columns)).toEqual([10, 20, 30]);
    expect(values(columns)).toEqual([1, 0, 3]);
  });

  it("puts a late row where it belongs", () => {
    const columns = new Columns(2, 8);
    for (const t of [10, 30, 40]) columns.upsert([t, t]);
    columns.upsert([20, 20]);
    columns.upsert([5, 5]);
    expect(keys(columns)).toEqual([5, 10, 20, 30, 40]);
  });

  it("gives the oldest row for a late one when it is full, and refuses what is older than all", () => {
    const columns = new Columns(2, 3);
    for (const t of [10, 30, 40]) columns.upsert([t, t]);
    expect(columns.upsert([20, 20])).toBe(true);
    expect(keys(columns)).toEqual([20, 30, 40]);
    expect(columns.upsert([1, 1])).toBe(false);
    expect(keys(columns)).toEqual([20, 30, 40]);
  });

  it("is the same as a sorted map, whatever comes in which order", () => {
    let seed = 7;
    const random = () => {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      return seed / 2147483648;
    };
    for (let round = 0; round < 200; round += 1) {
      const room = 1 + Math.floor(random() * 12);
      const columns = new Columns(2, room);
      let model = new Map<number, number>();
      for (let i = 0; i < 120; i += 1) {
        const t = Math.floor(i / 3 + random() * 12);
        const full = model.size >= room && !model.has(t);
        const oldest = Math.min(...model.keys());
        columns.upsert([t, i]);
        if (full && t < oldest) continue;
        model.set(t, i);
        if (full) model.delete(oldest);
        model = new Map([...model].sort((a, b) => a[0] - b[0]));
        expect(keys(columns)).toEqual([...model.keys()]);
        expect(values(columns)).toEqual([...model.values()]);
      }
    }
  });

  it("grows without losing what it holds", () => {
    const columns = new Columns(2, 2);
    for (const t of [1, 2, 3]) columns.upsert([t, t]);
    columns.grow(4);
    for (const t of [4, 5]) columns.upsert([t, t]);
    expect(keys(columns)).toEqual([2, 3, 4, 5]);
    expect(columns.capacity).toBe(4);
  });

  it("raises its version with every change and with nothing else", () => {
    const columns = new Columns(2, 4);
    columns.upsert([1, 1]);
    const before = columns.version;
    columns.view(0);
    columns.search(1);
    expect(columns.version).toBe(before);
    columns.upsert([1, 2]);
    expect(columns.version).toBeGreaterThan(before);
  });
});
