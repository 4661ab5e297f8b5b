import { RE2JS } from 're2js';

/**
 * Tells names that no rule of the data speaks of: in no list of names, met by no pattern. What such a name is allowed follows from the kind
 * and class alone. Answers are kept, since the same names are asked for with every list.
 */
export function ordinaryNames(data: unknown): (name: string) => boolean {
  const names = new Set<string>();
  const patterns: RE2JS[] = [];
  const collect = (value: unknown): void => {
    if (Array.isArray(value)) { value.forEach(collect); return; }
    if (typeof value !== 'object' || value === null) return;
    for (const [key, inner] of Object.entries(value)) {
      if ((key === 'names' || key === 'platform' || key === 'tools') && isObject(inner)) for (const name of Object.keys(inner)) names.add(name);
      if (key === 'confirm' && Array.isArray(inner)) for (const name of inner) names.add(String(name));
      if (key === 'patterns' && Array.isArray(inner)) patterns.push(...inner.map((pattern) => RE2JS.compile(String(pattern))));
      collect(inner);
    }
  };
  collect(data);
  const known = new Map<string, boolean>();
  return (name) => {
    let ordinary = known.get(name);
    if (ordinary === undefined) {
      if (known.size >= 100_000) known.clear();
      known.set(name, ordinary = !names.has(name) && !patterns.some((pattern) => pattern.matcher(name).find()));
    }
    return ordinary;
  };
}

const isObject = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
