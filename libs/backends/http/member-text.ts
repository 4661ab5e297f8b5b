/**
 * The text of one member of a JSON object, cut out as it stands; undefined where the object has none of that name. Of several with the same name the
 * last counts, as for `JSON.parse`. `json` must be valid JSON.
 */
export function memberText(json: string, name: string): string | undefined {
  const key = JSON.stringify(name);
  let found: string | undefined;
  let at = json.indexOf('{') + 1;
  while (at > 0 && at < json.length) {
    const start = json.indexOf('"', at);
    if (start < 0) break;
    const end = endOfString(json, start);
    const value = json.indexOf(':', end) + 1;
    const after = endOfValue(json, value);
    if (json.slice(start, end) === key) found = json.slice(value, after).trim();
    at = after + 1;
  }
  return found;
}

/** Behind the closing quote. */
function endOfString(json: string, start: number): number {
  let at = start + 1;
  while (json[at] !== '"') at += json[at] === '\\' ? 2 : 1;
  return at + 1;
}

/** At the comma or brace that ends the value. */
function endOfValue(json: string, start: number): number {
  let depth = 0;
  for (let at = start; at < json.length; at += 1) {
    const character = json[at];
    if (character === '"') at = endOfString(json, at) - 1;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') { if (depth === 0) return at; depth -= 1; }
    else if (character === ',' && depth === 0) return at;
  }
  return json.length;
}
