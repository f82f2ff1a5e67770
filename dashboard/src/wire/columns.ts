/**
 * Sorted rows in typed arrays, so that a live chart costs no allocation a reading.
 *
 * The first column is the key (a time in ms) and rises strictly. At most `capacity` rows are kept; the oldest
 * leave. Storage is twice the capacity: the window slides through it and is moved down once it reaches the end,
 * so every column is always one contiguous view that a chart takes as it is.
 */
export class Columns {
  private data: Float64Array[];
  private start = 0;
  private end = 0;
  /** Rises with every change: what was drawn at the same version needs no redraw. */
  version = 0;

  constructor(
    readonly width: number,
    private room: number,
  ) {
    this.data = Columns.store(width, room);
  }

  private static store(width: number, room: number): Float64Array[] {
    return Array.from({ length: width }, () => new Float64Array(room * 2));
  }

  get length(): number {
    return this.end - this.start;
  }

  get capacity(): number {
    return this.room;
  }

  /** A view of a column, oldest first. Valid until the next change. */
  view(column: number): Float64Array {
    return this.column(column).subarray(this.start, this.end);
  }

  at(column: number, index: number): number {
    return this.column(column)[this.start + index] ?? Number.NaN;
  }

  /** The newest key, or minus infinity when there is none. */
  get newest(): number {
    return this.length ? this.at(0, this.length - 1) : Number.NEGATIVE_INFINITY;
  }

  /** Index of the first row whose key is not below `key`. */
  search(key: number): number {
    const keys = this.column(0);
    let low = this.start;
    let high = this.end;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((keys[middle] as number) < key) low = middle + 1;
      else high = middle;
    }
    return low - this.start;
  }

  /** Puts a row at its key: replaces, appends, or goes between. False if it is older than all that is kept. */
  upsert(row: ArrayLike<number>): boolean {
    const key = row[0] as number;
    if (key > this.newest) {
      this.makeRoom();
      this.end += 1;
      this.write(this.length - 1, row);
      return true;
    }
    const index = this.search(key);
    if (this.at(0, index) !== key) {
      if (index === 0 && this.length >= this.room) return false;
      this.open(index);
      this.write(index === 0 ? 0 : this.search(key), row);
      return true;
    }
    this.write(index, row);
    return true;
  }

  /** Replaces the newest row, whatever its key: a trace that keeps one sample a second moves its head so. */
  replaceNewest(row: ArrayLike<number>): void {
    this.write(this.length - 1, row);
  }

  /** Keeps more rows from now on. */
  grow(capacity: number): void {
    if (capacity <= this.room) return;
    const wider = Columns.store(this.width, capacity);
    wider.forEach((column, i) => {
      column.set(this.view(i));
    });
    this.end = this.length;
    this.start = 0;
    this.data = wider;
    this.room = capacity;
  }

  clear(): void {
    this.start = 0;
    this.end = 0;
    this.version += 1;
  }

  private column(index: number): Float64Array {
    return this.data[index] as Float64Array;
  }

  private write(index: number, row: ArrayLike<number>): void {
    for (let i = 0; i < this.width; i += 1) this.column(i)[this.start + index] = row[i] as number;
    this.version += 1;
  }

  private makeRoom(): void {
    if (this.length >= this.room) this.start += 1;
    if (this.end < this.room * 2) return;
    for (const column of this.data) column.copyWithin(0, this.start, this.end);
    this.end -= this.start;
    this.start = 0;
  }

  /** Opens a gap before the row at `index`; when full, the oldest row leaves first. */
  private open(index: number): void {
    const full = this.length >= this.room;
    this.makeRoom();
    const from = this.start + (full ? index - 1 : index);
    for (const column of this.data) column.copyWithin(from + 1, from, this.end);
    this.end += 1;
  }
}
