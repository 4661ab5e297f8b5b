import type { Definitions, JsonSchema, JsonSchemaObject } from '#libs/core/json-schema.js';
import type { OperationClass } from '#libs/core/target.js';
import { cut } from '#libs/tool-listing/clean-text.js';
import { isObject, listOf } from '#libs/tool-listing/raw.js';
import { reduceSchema } from '#libs/tool-listing/reduce-schema.js';
import type { Reduction } from '#libs/tool-listing/reduce-schema.js';

/** Bytes that one entry of `tools/list` aims at; a tool with many arguments may need more. */
export const LISTED_BUDGET = 2048;
/** Bytes that one schema of an entry never exceeds. */
export const LISTED_SCHEMA_CAP = 64 * 1024;
const DESCRIPTION = 600;

export interface ToolFacts {
  readonly name: string;
  readonly title: string | undefined;
  readonly description: string;
  readonly method: string;
  readonly operationClass: OperationClass;
  readonly inputSchema: JsonSchema;
  readonly inputUses: ReadonlySet<string>;
  readonly outputSchema: JsonSchema | undefined;
  readonly outputUses: ReadonlySet<string>;
}

const INPUT: readonly Reduction[] = [
  { depth: 6, text: 300, constraints: true },
  { depth: 5, text: 160, constraints: true },
  { depth: 4, text: 100, constraints: true },
  { depth: 3, text: 100, constraints: false },
  { depth: 3, text: 50, constraints: false },
  { depth: 2, text: 80, constraints: false },
  { depth: 3, text: 0, constraints: false },
  { depth: 2, text: 40, constraints: false },
  { depth: 1, text: 60, constraints: false },
  { depth: 2, text: 0, constraints: false },
  { depth: 1, text: 0, constraints: false },
];
const OUTPUT: readonly Reduction[] = [
  { depth: 3, text: 60, constraints: false },
  { depth: 2, text: 60, constraints: false },
  { depth: 2, text: 0, constraints: false },
  { depth: 1, text: 0, constraints: false },
  { depth: 0, text: 0, constraints: false },
];

/** Makes entries of `tools/list`: full schemas where they fit, wider ones where not; the server checks against the full ones. */
export class ToolLister {
  readonly #definitions: Definitions;
  readonly #texts = new Map<string, string>();
  readonly #uses: (key: string) => Iterable<string>;

  constructor(definitions: Definitions, uses: (key: string) => Iterable<string>) {
    this.#definitions = definitions;
    this.#uses = uses;
  }

  /** The Tool object of MCP 2026-07-28 as JSON text. The same facts always give the same bytes. */
  list(tool: ToolFacts): string {
    const head = {
      name: tool.name,
      ...(tool.title === undefined ? {} : { title: cut(tool.title, 120) }),
      description: cut(tool.description, DESCRIPTION),
    };
    const annotations = annotationsOf(tool);
    const fixed = JSON.stringify(head).length + JSON.stringify(annotations).length + 60;
    const leastOutput = tool.outputSchema === undefined ? 0 : 40;
    const input = this.#input(tool, LISTED_BUDGET - fixed - leastOutput);
    const output = tool.outputSchema === undefined ? undefined : this.#output(tool.outputSchema, tool.outputUses, LISTED_BUDGET - fixed - input.length);
    const members = JSON.stringify(head).slice(0, -1);
    return `${members},"inputSchema":${input}${output === undefined ? '' : `,"outputSchema":${output}`},"annotations":${JSON.stringify(annotations)}}`;
  }

  #input({ inputSchema, inputUses }: ToolFacts, room: number): string {
    const whole = this.#whole(inputSchema, inputUses, room);
    if (whole !== undefined) return whole;
    for (const reduction of INPUT) {
      const text = this.#reduced(inputSchema, reduction, room);
      if (text !== undefined) return text;
    }
    // More arguments than the budget has room for: their names and types are what a caller cannot do without.
    return this.#reduced(inputSchema, { depth: 1, text: 0, constraints: false }, LISTED_SCHEMA_CAP) ?? JSON.stringify(requiredOnly(inputSchema));
  }

  #output(schema: JsonSchema, uses: ReadonlySet<string>, room: number): string {
    const whole = this.#whole(schema, uses, room);
    if (whole !== undefined) return whole;
    for (const reduction of OUTPUT) {
      const text = this.#reduced(schema, reduction, room);
      if (text !== undefined) return text;
    }
    const type = isObject(schema) ? schema['type'] : undefined;
    return JSON.stringify(type === undefined ? {} : { type });
  }

  #reduced(schema: JsonSchema, reduction: Reduction, room: number): string | undefined {
    const reduced = reduceSchema(schema, this.#definitions, reduction, room);
    if (reduced === undefined) return undefined;
    const text = JSON.stringify(reduced === true ? {} : reduced);
    return Buffer.byteLength(text) <= room ? text : undefined;
  }

  /** The full schema with all the definitions it leads to, when they fit. */
  #whole(schema: JsonSchema, uses: ReadonlySet<string>, room: number): string | undefined {
    let left = room;
    const keys = new Set(uses);
    for (const key of keys) {
      left -= this.#text(key).length + key.length + 4;
      if (left < 0) return undefined;
      for (const used of this.#uses(key)) keys.add(used);
    }
    const text = withoutMapping(schema === true ? {} : schema);
    if (keys.size === 0) return Buffer.byteLength(text) <= room ? text : undefined;
    const definitions = [...keys].toSorted().map((key) => `${JSON.stringify(key)}:${this.#text(key)}`).join(',');
    const complete = `${text.slice(0, -1)}${text === '{}' ? '' : ','}"$defs":{${definitions}}}`;
    return Buffer.byteLength(complete) <= room ? complete : undefined;
  }

  #text(key: string): string {
    let text = this.#texts.get(key);
    if (text === undefined) {
      text = withoutMapping(this.#definitions[key] ?? true);
      this.#texts.set(key, text);
    }
    return text;
  }
}

/** A discriminator's mapping names definitions that a client does not get. */
function withoutMapping(schema: JsonSchema): string {
  return JSON.stringify(schema, (key, value: unknown) => (key === 'discriminator' && isObject(value) && isObject(value['mapping']) && Object.values(value['mapping']).every((target) => String(target).startsWith('#/$defs/')) ? { propertyName: value['propertyName'] } : value));
}

function requiredOnly(schema: JsonSchema): JsonSchemaObject {
  const required = isObject(schema) ? listOf(schema['required']) : [];
  let left = LISTED_SCHEMA_CAP / 2;
  return { type: 'object', required: required.filter((name) => (left -= String(name).length + 3) > 0) };
}

const IDEMPOTENT: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'QUERY', 'PUT', 'DELETE']);

/** RFC 9110 §9.2 in the words of MCP. */
function annotationsOf({ title, method, operationClass }: ToolFacts): object {
  return {
    ...(title === undefined ? {} : { title: cut(title, 120) }),
    readOnlyHint: operationClass === 'read',
    destructiveHint: operationClass === 'destructive',
    idempotentHint: IDEMPOTENT.has(method),
    openWorldHint: true,
  };
}
