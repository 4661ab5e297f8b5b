import type { PromptArgument } from '#libs/core/control-store.js';
import type { PromptMessageTemplate } from '#libs/core/target.js';

export interface PlaceholderFault { readonly message: number; readonly placeholder: string; readonly fix: string }

/**
 * Compares a prompt's `{{name}}` placeholders with its declared arguments. Anything between double braces counts as one, so
 * that `{{ name }}` or a misspelled name is refused here instead of reaching a model as text.
 */
export function checkPlaceholders(messages: readonly PromptMessageTemplate[], declared: readonly PromptArgument[]): { readonly faults: readonly PlaceholderFault[]; readonly unused: readonly string[] } {
  const names = new Set(declared.map(({ name }) => name));
  const used = new Set<string>();
  const faults: PlaceholderFault[] = [];
  for (const [message, { text }] of messages.entries()) {
    for (const [placeholder, inner = ''] of text.matchAll(/\{\{([^{}]*)\}\}/g)) {
      used.add(inner);
      if (names.has(inner)) continue;
      faults.push({ message, placeholder, fix: names.has(inner.trim()) ? `write {{${inner.trim()}}}` : `declare an argument ${JSON.stringify(inner.trim())}` });
    }
  }
  return { faults, unused: [...names].filter((name) => !used.has(name)) };
}
