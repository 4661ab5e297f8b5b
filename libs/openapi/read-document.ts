import { isUtf8 } from 'node:buffer';
import { LineCounter, isAlias, isPair, isScalar, parseDocument, visit } from 'yaml';
import type { Document, YAMLError } from 'yaml';
import { refuseTooLarge } from '#libs/openapi/document-limits.js';
import type { DocumentLimits } from '#libs/openapi/document-limits.js';
import { DocumentError } from '#libs/openapi/document-error.js';
import { findDuplicateKey } from '#libs/openapi/duplicate-key.js';
import { isObject, token } from '#libs/tool-listing/raw.js';

/** Flow YAML that begins with a brace is tried as YAML after JSON failed, up to this many characters. */
const YAML_SECOND_TRY = 1024 * 1024;

/**
 * The document as plain data. JSON is parsed as JSON; anything else as YAML 1.2 (core schema: no dates, no custom tags, no merge keys).
 * Throws `DocumentError` with line and column for bytes that are too many, not UTF-8, not well-formed, too deep, or that expand by aliases.
 */
export function readDocument(bytes: Uint8Array, file: string, limits: DocumentLimits): unknown {
  refuseTooLarge(bytes, file, limits.maxBytes);
  const text = decode(bytes, file);
  const value = /^\s*[{[]/.test(text) ? readJson(text, file, limits) : readYaml(text, file, limits);
  checkDepth(value, file, limits.maxDepth);
  return value;
}

function decode(bytes: Uint8Array, file: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DocumentError({ code: 'invalid-encoding', file, line: firstInvalidLine(bytes), problem: 'the line is not valid UTF-8; save the document as UTF-8' }, { cause });
  }
}

function firstInvalidLine(bytes: Uint8Array): number {
  let line = 1;
  for (let start = 0; start < bytes.length; line++) {
    const newline = bytes.indexOf(10, start);
    const end = newline === -1 ? bytes.length : newline;
    if (!isUtf8(bytes.subarray(start, end))) return line;
    start = end + 1;
  }
  return line;
}

function readJson(text: string, file: string, limits: DocumentLimits): unknown {
  try {
    const value: unknown = JSON.parse(text);
    const duplicate = findDuplicateKey(text);
    if (duplicate) throw new DocumentError({ code: 'syntax', file, ...lineAndColumn(text, duplicate.offset), problem: `"${duplicate.key}" stands twice in the same object; remove or rename one` });
    return value;
  } catch (cause) {
    if (cause instanceof DocumentError) throw cause;
    if (text.length <= YAML_SECOND_TRY) {
      try { return readYaml(text, file, limits); } catch (yamlError) {
        if (yamlError instanceof DocumentError && yamlError.code !== 'syntax') throw yamlError;
      }
    }
    const message = cause instanceof Error ? cause.message : '';
    const found = / at position (\d+)/.exec(message);
    const { line, column } = lineAndColumn(text, found ? Number(found[1]) : text.length);
    const what = found ? message.slice(0, found.index).replace(/ in JSON$/, '') : 'the document ends too early';
    throw new DocumentError({ code: 'syntax', file, line, column, problem: `not well-formed JSON: ${what}` }, { cause });
  }
}

function lineAndColumn(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let start = 0;
  for (let next = text.indexOf('\n'); next !== -1 && next < offset; next = text.indexOf('\n', next + 1)) { line++; start = next + 1; }
  return { line, column: offset - start + 1 };
}

function readYaml(text: string, file: string, limits: DocumentLimits): unknown {
  const lines = new LineCounter();
  let document: Document.Parsed;
  try {
    document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: false, version: '1.2', schema: 'core', logLevel: 'error', maxDepth: limits.maxDepth * 2 } as object);
  } catch (cause) {
    throw new DocumentError({ code: cause instanceof RangeError ? 'too-deep' : 'syntax', file, problem: cause instanceof RangeError ? `nested deeper than ${limits.maxDepth} levels` : 'not well-formed YAML' }, { cause });
  }
  const error = document.errors[0];
  if (error) throw yamlSyntaxError(error, lines, file);
  const aliases = countAliases(document, { file, lines, limits });
  try {
    // Bounds the product of uses and nested uses; the anchor itself counts as one.
    const value: unknown = document.toJS({ maxAliasCount: limits.maxAliases + 1 });
    if (aliases > 0) refuseCircles(value, file);
    return value;
  } catch (cause) {
    if (cause instanceof DocumentError) throw cause;
    if (cause instanceof RangeError) throw new DocumentError({ code: 'too-deep', file, problem: `nested deeper than ${limits.maxDepth} levels` }, { cause });
    const problem = cause instanceof ReferenceError ? `aliases expand to more than ${limits.maxAliases} copies; use $ref instead of YAML aliases` : 'not well-formed YAML';
    throw new DocumentError({ code: cause instanceof ReferenceError ? 'too-many-aliases' : 'syntax', file, problem }, { cause });
  }
}

function yamlSyntaxError(error: YAMLError, lines: LineCounter, file: string): DocumentError {
  const { line, col } = lines.linePos(error.pos[0]);
  return new DocumentError({ code: 'syntax', file, line, column: col, problem: `not well-formed YAML: ${error.message}` }, { cause: error });
}

/** Aliases in the document; throws for too many, and for merge keys. */
function countAliases(document: Document.Parsed, context: { file: string; lines: LineCounter; limits: DocumentLimits }): number {
  const { file, lines, limits } = context;
  let aliases = 0;
  const at = (range: readonly number[] | null | undefined) => { const { line, col } = lines.linePos(range?.[0] ?? 0); return { line, column: col }; };
  try {
    visit(document, (_key, node, path) => {
      if (path.length > limits.maxDepth * 2) throw new DocumentError({ code: 'too-deep', file, problem: `nested deeper than ${limits.maxDepth} levels` });
      if (isAlias(node)) {
        aliases += 1;
        if (aliases > limits.maxAliases) throw new DocumentError({ code: 'too-many-aliases', file, ...at(node.range), problem: `more than ${limits.maxAliases} YAML aliases; use $ref instead` });
      }
      if (isPair(node) && isScalar(node.key) && node.key.value === '<<' && node.key.type === 'PLAIN') {
        throw new DocumentError({ code: 'merge-key', file, ...at(node.key.range), problem: 'YAML merge keys (<<) are not supported; write the members out or use $ref' });
      }
    });
  } catch (cause) {
    if (cause instanceof RangeError) throw new DocumentError({ code: 'too-deep', file, problem: `nested deeper than ${limits.maxDepth} levels` }, { cause });
    throw cause;
  }
  return aliases;
}

/** An alias inside what it names would make a value without end. */
function refuseCircles(root: unknown, file: string): void {
  const done = new Set<unknown>();
  const onPath = new Set<unknown>();
  const look = (value: unknown, pointer: string): void => {
    if (typeof value !== 'object' || value === null || done.has(value)) return;
    if (onPath.has(value)) throw new DocumentError({ code: 'too-deep', file, pointer, problem: 'a YAML alias stands inside what it names; use $ref instead' });
    onPath.add(value);
    for (const [key, inner] of Object.entries(value)) look(inner, pointer + token(key));
    onPath.delete(value);
    done.add(value);
  };
  look(root, '');
}

/** Breadth first, so that no input can exhaust the stack; aliased objects are looked at once. */
function checkDepth(root: unknown, file: string, maxDepth: number): void {
  let level: unknown[] = [root];
  const seen = new Set<unknown>();
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth) throw new DocumentError({ code: 'too-deep', file, problem: `nested deeper than ${maxDepth} levels; move inner schemas to components and use $ref` });
    const next: unknown[] = [];
    for (const value of level) {
      for (const member of Array.isArray(value) ? (value as unknown[]) : isObject(value) ? Object.values(value) : []) {
        if (typeof member !== 'object' || member === null || seen.has(member)) continue;
        seen.add(member);
        next.push(member);
      }
    }
    level = next;
  }
}
