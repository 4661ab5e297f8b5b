import { z } from 'zod';
import type { PromptRecord } from '#libs/core/control-store.js';
import { McpNameField, TagsField, text } from '../http/fields.js';

const Argument = z.strictObject({
  name: z.string().regex(/^[A-Za-z_][A-Za-z0-9_-]{0,63}$/, 'must be 1 to 64 letters, digits, underscores or hyphens, not starting with a digit or hyphen'),
  description: text(1000).optional(),
  required: z.boolean().default(false),
  values: z.array(text(200)).max(1000).optional().meta({ description: 'Offered by completion.' }),
}).meta({ id: 'PromptArgument' });
const Message = z.strictObject({ role: z.enum(['user', 'assistant']), text: text(100_000).min(1) }).meta({ id: 'PromptMessage', description: '`{{argument}}` stands for the argument\'s value.' });

const fields = {
  title: text(200).optional(),
  description: text(4000).default(''),
  arguments: z.array(Argument).max(50).default([]),
  messages: z.array(Message).min(1).max(100),
  tags: TagsField.default([]),
};
const distinct = ({ arguments: declared }: { arguments: { name: string }[] }): boolean => new Set(declared.map(({ name }) => name)).size === declared.length;
const DISTINCT = { path: ['arguments'], message: 'two arguments have the same name' };

export const PromptBody = z.strictObject({ name: McpNameField, ...fields }).refine(distinct, DISTINCT).meta({ id: 'PromptBody' });
export type PromptBody = z.infer<typeof PromptBody>;
/** `name` may be repeated from the address, as a client that sends back what it read does. */
export const PromptReplacement = z.strictObject({ name: McpNameField.optional(), ...fields }).refine(distinct, DISTINCT).meta({ id: 'PromptReplacement' });
export type PromptReplacement = z.infer<typeof PromptReplacement>;

export const PromptAnswer = z.object({
  name: z.string(), title: z.string().nullable(), description: z.string(),
  arguments: z.array(z.object({ name: z.string(), description: z.string().optional(), required: z.boolean(), values: z.array(z.string()).optional() })),
  messages: z.array(z.object({ role: z.enum(['user', 'assistant']), text: z.string() })),
  tags: z.array(z.string()),
  notes: z.array(z.string()).meta({ description: 'What is odd but not wrong: a declared argument that no message uses.' }),
}).meta({ id: 'Prompt' });
export type PromptAnswer = z.infer<typeof PromptAnswer>;
export const PromptList = z.object({ prompts: z.array(PromptAnswer) }).meta({ id: 'PromptList' });

/** The record without keys that hold undefined. */
export function promptRecord({ name, title, description, arguments: declared, messages, tags }: PromptBody): PromptRecord {
  return {
    name, description, messages, tags, ...(title === undefined ? {} : { title }),
    arguments: declared.map((argument) => ({
      name: argument.name, required: argument.required,
      ...(argument.description === undefined ? {} : { description: argument.description }), ...(argument.values === undefined ? {} : { values: argument.values }),
    })),
  };
}

export function promptAnswer(prompt: PromptRecord, unused: readonly string[]): PromptAnswer {
  return {
    name: prompt.name, title: prompt.title ?? null, description: prompt.description, messages: prompt.messages.map((message) => ({ ...message })), tags: [...prompt.tags],
    arguments: prompt.arguments.map(({ values, ...argument }) => ({ ...argument, ...(values === undefined ? {} : { values: [...values] }) })),
    notes: unused.map((name) => `argument ${name} is declared and never used`),
  };
}
