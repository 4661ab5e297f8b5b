/** Whole numbers from 1 on, kept as ranges: what comes nearly in order takes a few of them, however many there are. */
export class SequenceSet {
  /** Sorted, apart from one another by at least one number. */
  private readonly ranges: [number, number][] = [];

  /** How many are in. */
  get size(): number { return this.ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0); }
  /** Everything from 1 to this one is in. */
  get contiguous(): number { const first = this.ranges[0]; return first?.[0] === 1 ? first[1] : 0; }
  get highest(): number { return this.ranges.at(-1)?.[1] ?? 0; }

  has(seq: number): boolean { return this.at(seq).inside; }

  add(seq: number): void {
    const { index, inside } = this.at(seq);
    if (inside) return;
    // `index` is the first range that starts after it.
    const before = this.ranges[index - 1];
    const after = this.ranges[index];
    const joinsBefore = before?.[1] === seq - 1;
    const joinsAfter = after?.[0] === seq + 1;
    if (joinsBefore && joinsAfter && before && after) { before[1] = after[1]; this.ranges.splice(index, 1); return; }
    if (joinsBefore && before) { before[1] = seq; return; }
    if (joinsAfter && after) { after[0] = seq; return; }
    this.ranges.splice(index, 0, [seq, seq]);
  }

  addUpTo(seq: number): void {
    if (seq < 1) return;
    while ((this.ranges[0]?.[0] ?? Infinity) <= seq + 1) seq = Math.max(seq, this.ranges.shift()?.[1] ?? 0);
    this.ranges.unshift([1, seq]);
  }

  /** The ranges between 1 and the highest that are not in. */
  gaps(): readonly (readonly [number, number])[] {
    const gaps: [number, number][] = [];
    let next = 1;
    for (const [from, to] of this.ranges) {
      if (from > next) gaps.push([next, from - 1]);
      next = to + 1;
    }
    return gaps;
  }

  private at(seq: number): { index: number; inside: boolean } {
    const { ranges } = this;
    let low = 0;
    let high = ranges.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((ranges[middle]?.[0] ?? 0) <= seq) low = middle + 1; else high = middle;
    }
    return { index: low, inside: low > 0 && (ranges[low - 1]?.[1] ?? 0) >= seq };
  }
}
