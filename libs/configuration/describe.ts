import { z } from 'zod';
import { fieldMeta } from './read-config.js';

/** One row of a process's table in docs/configuration.md. */
export interface ConfigurationRow {
  readonly env: string;
  readonly type: string;
  /** As an operator would write it; undefined where the variable is required or has no default. */
  readonly default: string | undefined;
  readonly required: boolean;
  readonly description: string;
}

/** The rows of a schema in its own order. */
export function describeConfig(schema: z.ZodObject): readonly ConfigurationRow[] {
  return Object.entries(schema.shape).map(([key, field]) => {
    const { env, description, secret } = fieldMeta(key, field);
    const type = field as z.ZodType;
    const unset = type.safeParse(undefined);
    return {
      env, description, required: !unset.success,
      type: `${typeName(type)}${secret === true ? ', secret' : ''}`,
      default: unset.success ? shown(unset.data) : undefined,
    };
  });
}

function shown(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  if (Array.isArray(value)) return value.length === 0 ? undefined : value.join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}

interface Described { readonly type?: string; readonly enum?: readonly unknown[]; readonly minimum?: number; readonly maximum?: number; readonly exclusiveMinimum?: number; readonly format?: string }

function typeName(field: z.ZodType): string {
  const output = z.toJSONSchema(field, { io: 'output', unrepresentable: 'any' }) as Described;
  if (output.type === 'boolean') return 'true or false';
  if (output.enum) return output.enum.map(String).join(', ');
  if (output.type === 'integer' || output.type === 'number') {
    const from = output.minimum ?? output.exclusiveMinimum;
    const bounds = [from === undefined ? '' : `from ${from}`, output.maximum === undefined || output.maximum === Number.MAX_SAFE_INTEGER ? '' : `to ${output.maximum}`].filter((part) => part !== '');
    return [output.type, ...bounds].join(' ');
  }
  if (output.format === 'uri') return 'URL';
  if (output.type === 'string') return 'text';
  return 'comma-separated list';
}
