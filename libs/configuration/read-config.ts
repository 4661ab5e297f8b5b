import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** What every field of a process's configuration schema carries in `.meta()`. */
export interface FieldMeta {
  /** Environment variable. */
  readonly env: string;
  /** One or two sentences for docs/configuration.md; units and consequences included. */
  readonly description: string;
  /** The value is never shown, not even in an error about itself. */
  readonly secret?: boolean;
}

export interface ConfigurationIssue { readonly env: string; readonly message: string }

/** Every wrong value at once, each named by its environment variable. */
export class ConfigurationError extends Error {
  override get name(): string { return 'ConfigurationError'; }
  readonly issues: readonly ConfigurationIssue[];
  constructor(issues: readonly ConfigurationIssue[]) {
    super(`The configuration is wrong:\n${issues.map(({ env, message }) => `  ${env}: ${message}`).join('\n')}`);
    this.issues = issues;
  }
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** `true`, `1`, `yes`, `on` and their opposites, in any case. Give the default by `.prefault('true')`, then `.meta(…)`. */
export const flag = () => z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });

/** Comma-separated values; blanks around them and empty ones are dropped. */
export const list = () => z.string().transform((text) => text.split(',').map((item) => item.trim()).filter((item) => item !== ''));

/**
 * Reads a process's configuration from its environment, once, at start.
 * `NAME_FILE` names a file that holds the value of `NAME`, for secrets; one trailing line break is dropped. An empty
 * value counts as unset. Unknown variables are ignored.
 * Throws `ConfigurationError` with every wrong variable and what would be right.
 */
export function readConfig<S extends z.ZodObject>(
  schema: S, env: Environment, readFile: (path: string) => string = (path) => readFileSync(path, 'utf8'),
): z.infer<S> {
  const issues: ConfigurationIssue[] = [];
  const given: Record<string, string> = {};
  for (const [key, field] of Object.entries(schema.shape)) {
    const { env: name } = fieldMeta(key, field);
    try {
      const value = valueOf(name, env, readFile);
      if (value !== undefined) given[key] = value;
    } catch (failure) {
      issues.push({ env: `${name}_FILE`, message: failure instanceof Error ? failure.message : String(failure) });
    }
  }
  const parsed = schema.safeParse(given);
  if (!parsed.success) for (const issue of parsed.error.issues) issues.push(explain(schema, given, issue));
  if (issues.length > 0 || !parsed.success) throw new ConfigurationError(issues);
  return parsed.data;
}

/** The `.meta()` of a field. A field without one is a fault of the schema, not of the operator. */
export function fieldMeta(key: string, field: unknown): FieldMeta {
  const meta: Partial<FieldMeta> | undefined = field instanceof z.ZodType ? field.meta() : undefined;
  if (typeof meta?.env !== 'string' || typeof meta.description !== 'string') {
    throw new TypeError(`Configuration field ${key} needs .meta({ env, description }) as its last call`);
  }
  return { env: meta.env, description: meta.description, ...(meta.secret === true ? { secret: true } : {}) };
}

function valueOf(name: string, env: Environment, readFile: (path: string) => string): string | undefined {
  const direct = env[name];
  const path = env[`${name}_FILE`];
  if (path === undefined || path === '') return direct === '' ? undefined : direct;
  if (direct !== undefined && direct !== '') throw new Error(`set ${name} or ${name}_FILE, not both`);
  let text: string;
  try { text = readFile(path); } catch (failure) {
    throw new Error(`cannot read ${path}: ${failure instanceof Error ? failure.message : String(failure)}`, { cause: failure });
  }
  const value = text.replace(/\r?\n$/, '');
  if (value === '') throw new Error(`${path} is empty`);
  return value;
}

function explain(schema: z.ZodObject, given: Readonly<Record<string, string>>, issue: z.core.$ZodIssue): ConfigurationIssue {
  const key = String(issue.path[0] ?? '');
  const field: unknown = schema.shape[key];
  if (field === undefined) return { env: key === '' ? 'configuration' : key, message: issue.message };
  const { env, description, secret } = fieldMeta(key, field);
  const value = given[key];
  if (value === undefined && issue.code !== 'custom') return { env, message: `is required. ${description}` };
  const shown = secret === true || value === undefined ? '' : `${JSON.stringify(value.length > 80 ? `${value.slice(0, 80)}…` : value)} is refused: `;
  return { env, message: `${shown}${issue.message}. ${description}` };
}
