/** Where something is that must not leave: from `start` to before `end`. */
export interface Span { readonly start: number; readonly end: number; readonly name: string; readonly replacement: string }

/** In order and apart: of two that touch the same characters the earlier one stays, of two with the same start the longer, stretched over both. */
export function apart(spans: Span[]): readonly Span[] {
  if (spans.length < 2) return spans;
  spans.sort((a, b) => a.start - b.start || b.end - a.end);
  const kept: Span[] = [];
  for (const span of spans) {
    const last = kept.at(-1);
    if (!last || span.start >= last.end) kept.push(span);
    else if (span.end > last.end) kept[kept.length - 1] = { ...last, end: span.end };
  }
  return kept;
}

export function replaced(text: string, spans: readonly Span[]): string {
  let out = '';
  let from = 0;
  for (const { start, end, replacement } of spans) {
    out += text.slice(from, start) + replacement;
    from = end;
  }
  return out + text.slice(from);
}
