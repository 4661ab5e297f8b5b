import type { PromptArgument } from '#libs/core/control-store.js';
import type { PromptMessageTemplate } from '#libs/core/target.js';

export interface PlaceholderFault { readonly message: number; readonly placeholder: string; readonly name: string }

/**
 * Compares a prompt's `{{name}}` placeholders (blanks around the name do not count) with its declared arguments. Anything
 * between double braces is one, so that a misspelled name is refused here instead of reaching a model as text.
 */
export function checkPlaceholders(messages: readonly PromptMessageTemplate[], declared: readonly PromptArgument[]): { readonly faults: readonly PlaceholderFault[]; readonly unused: readonly string[] } {
  const names = new Set(declared.map(({ name }) => name));
  const used = new Set<string>();
  const faults: PlaceholderFault[] = [];
  for (const [message, { text }] of messages.entries()) {
    for (const [placeholder, inner = ''] of text.matchAll(/\{\{([^{}]*)\}\}/g)) {
      const name = inner.trim();
      used.add(name);
      if (!names.has(name)) faults.push({ message, placeholder, name });
    }
  }
  return { faults, unused: [...names].filter((name) => !used.has(name)) };
}
