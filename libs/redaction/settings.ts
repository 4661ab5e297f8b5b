import { readFileSync } from 'node:fs';
import { RE2JS } from 're2js';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import { type TenantSlug, tenantSlug } from '#libs/core/tenant.js';
import { SHIPPED, type ShippedPattern } from './shipped.js';
import type { OwnPattern } from './text-scanner.js';

const Field = z.string().min(1).max(256);
const Pattern = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, 'expected lower-case letters, digits and hyphens'),
  regex: z.string().min(1).max(1024),
  replace: z.string().max(256).optional(),
  fields: z.array(Field).min(1).max(100).optional(),
});
const Patterns = z.array(Pattern).max(200);
const Tool = z.strictObject({ tool: z.string().min(1).max(128), tenant: z.string().optional(), fields: z.array(Field).min(1).max(200) });
const File = z.strictObject({ dlp: z.strictObject({ patterns: Patterns.default([]), tools: z.array(Tool).max(10_000).default([]), tenants: z.record(z.string(), z.strictObject({ patterns: Patterns })).default({}) }) });

export interface ReadSettings {
  readonly shipped: readonly ShippedPattern[];
  readonly own: readonly OwnPattern[];
  readonly tenants: ReadonlyMap<TenantSlug, readonly OwnPattern[]>;
  readonly tools: readonly { readonly tool: string; readonly tenant?: string | undefined; readonly fields: readonly string[] }[];
}

/** Each wrong entry with its place and what would be right. */
export class RedactionRefused extends Error { override get name(): string { return 'RedactionRefused'; } }

/** `patterns`: names of shipped ones; undefined: all that are not optional. */
export function readSettings({ patterns, file, text }: { readonly patterns?: readonly string[] | undefined; /** Path, for messages, and for reading where no `text` is given. */ readonly file?: string | undefined; readonly text?: string }): ReadSettings {
  const unknown = patterns?.filter((name) => !SHIPPED.some((one) => one.name === name)) ?? [];
  if (unknown.length > 0) throw new RedactionRefused(`REDACTION_PATTERNS: there is no pattern ${unknown.join(', ')}; there are ${SHIPPED.map(({ name }) => name).join(', ')}`);
  const shipped = SHIPPED.filter(({ name, optional }) => (patterns ? patterns.includes(name) : optional !== true));
  if (file === undefined) return { shipped, own: [], tenants: new Map(), tools: [] };
  const document = parseDocument(text ?? readFileSync(file, 'utf8'));
  const [fault] = document.errors;
  if (fault) throw new RedactionRefused(`${file}: ${fault.message}`);
  const parsed = File.safeParse(document.toJS({ maxAliasCount: 10 }));
  if (!parsed.success) throw new RedactionRefused(parsed.error.issues.map(({ path, message }) => `${file}: ${path.join('.')}: ${message}`).join('\n'));
  const { dlp } = parsed.data;
  const compiled = (list: z.infer<typeof Patterns>, where: string): OwnPattern[] => list.map((pattern, at) => ownPattern(pattern, `${file}: ${where}.${at}`));
  const tenants = new Map<TenantSlug, readonly OwnPattern[]>();
  for (const [name, { patterns: list }] of Object.entries(dlp.tenants)) {
    const slug = tenantSlug(name);
    if (slug === undefined) throw new RedactionRefused(`${file}: dlp.tenants.${name}: expected a tenant`);
    tenants.set(slug, compiled(list, `dlp.tenants.${name}.patterns`));
  }
  return { shipped, own: compiled(dlp.patterns, 'dlp.patterns'), tenants, tools: dlp.tools };
}

/** Characters of one look of the linear engine, and how far two looks overlap: no match is longer. */
const WINDOW = 65_536;
const OVERLAP = 4_096;

/** Instructions of one pattern's program. */
export const MOST_STEPS = 1_000;

/** Compiled for the linear engine; what that cannot express (look-around, back-references) is refused by name. */
export function ownPattern({ name, regex, replace, fields }: z.infer<typeof Pattern>, where: string): OwnPattern {
  let compiled: RE2JS;
  try { compiled = RE2JS.compile(RE2JS.translateRegExp(regex)); } catch (failure) {
    throw new RedactionRefused(`${where}: ${name}: the regular expression cannot be used: ${failure instanceof Error ? failure.message : String(failure)}. Look-around and back-references are not available`);
  }
  // The engine visits each instruction at most once for each character (Thompson 1968): their number bounds the steps, whatever the text.
  const steps = compiled.programSize();
  if (steps > MOST_STEPS) throw new RedactionRefused(`${where}: ${name}: the regular expression takes ${steps} steps for each character, more than ${MOST_STEPS}: make its repetitions smaller`);
  if (compiled.matcher('').matches()) throw new RedactionRefused(`${where}: ${name}: the regular expression matches nothing at all, and so everywhere`);
  return {
    name, replacement: replace ?? `[redacted-${name}]`, ...(fields ? { fields } : {}),
    find(text, found, budget) {
      for (let from = 0; from === 0 || from + OVERLAP < text.length; from += WINDOW - OVERLAP) {
        budget.check();
        const matcher = compiled.matcher(from === 0 && text.length <= WINDOW ? text : text.slice(from, from + WINDOW));
        while (matcher.find()) {
          budget.check();
          if (matcher.end() === matcher.start()) continue;
          found(from + matcher.start(), from + matcher.end());
        }
      }
    },
  };
}
