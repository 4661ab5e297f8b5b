import type { BackendAnswer, ValidatedCall } from '#libs/core/call.js';
import type { Backend } from '#libs/core/ports.js';
import type { BackendBinding } from '#libs/core/target.js';

/** Fills a prompt's `{{argument}}` placeholders, in one pass: a value that looks like a placeholder stays as it is. One that was not given is empty. */
export class PromptBackend implements Backend {
  async invoke(call: ValidatedCall): Promise<BackendAnswer> {
    const { messages } = call.target.backend as Extract<BackendBinding, { kind: 'prompt' }>;
    const filled = messages.map(({ role, text }) => ({ role, content: { type: 'text' as const, text: fill(text, call.input) } }));
    const description = call.target.description === '' ? {} : { description: call.target.description };
    return { result: { type: 'prompt', ...description, messages: filled }, outcome: 'success', latencyMs: 0, bytes: 0 };
  }
}

export function fill(template: string, values: Readonly<Record<string, unknown>>): string {
  return template.replaceAll(/\{\{\s*([^{}\s]+)\s*\}\}/g, (_placeholder, name: string) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return value === undefined || value === null ? '' : typeof value === 'string' ? value : JSON.stringify(value);
  });
}
