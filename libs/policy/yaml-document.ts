import { isMap, isNode, isSeq, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { type PolicyIssue, PolicyRefused } from './policy-refused.js';

/** Characters of a policy file. */
const MAX_TEXT = 1024 * 1024;

/** A YAML file that fits a schema, and the line of each of its places. */
export interface YamlDocument<T> { readonly value: T; lineOf(path: readonly PropertyKey[]): number | undefined }

/** Reads one; rejects wrong ones with `PolicyRefused` that names each place by its line. */
export function readYaml<S extends z.ZodType>(file: string, text: string, schema: S): YamlDocument<z.output<S>> {
  if (text.length > MAX_TEXT) throw new PolicyRefused([{ file, message: `is over ${MAX_TEXT / 1024} KiB: split it` }]);
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true, version: '1.2' });
  if (document.errors.length > 0) throw new PolicyRefused(document.errors.map(({ message, pos }): PolicyIssue => ({ file, line: lines.linePos(pos[0]).line, message: message.split('\n')[0]! })));
  let plain: unknown;
  try { plain = document.toJS({ maxAliasCount: 100 }); } catch (cause) { throw new PolicyRefused([{ file, message: cause instanceof Error ? cause.message : String(cause) }]); }
  const lineOf = (path: readonly PropertyKey[]): number | undefined => {
    let node: unknown = document.contents;
    let line: number | undefined = 1;
    for (const step of path) {
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => String(isNode(key) && 'value' in key ? key.value : key) === String(step));
        if (!pair) break;
        line = at(pair.key) ?? line;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(step)];
        line = at(node) ?? line;
      } else break;
    }
    return line;
  };
  const at = (node: unknown): number | undefined => {
    const range = isNode(node) ? node.range : undefined;
    return range ? lines.linePos(range[0]).line : undefined;
  };
  const parsed = schema.safeParse(plain);
  if (!parsed.success) throw new PolicyRefused(parsed.error.issues.map((issue): PolicyIssue => {
    const line = lineOf(issue.path);
    return { file, ...(line === undefined ? {} : { line }), message: `${issue.path.length === 0 ? 'the file' : issue.path.map(String).join('.')}: ${issue.message}` };
  }));
  return { value: parsed.data, lineOf };
}
