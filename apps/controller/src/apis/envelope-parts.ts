/** The JSON of an import taken apart: itself with a word in place of the document, and the document's bytes. */
export type Envelope =
  | { readonly value: unknown; readonly inline: Uint8Array<ArrayBuffer> | undefined }
  | { readonly wrong: 'json' | 'depth'; readonly message: string };

/** Stands for the document in the envelope. */
const PLACE = 'document';

/** Runs in a thread for large bodies, so it imports nothing. */
export function takeApart(bytes: Uint8Array): Envelope {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (failure) {
    return { wrong: 'json', message: failure instanceof Error ? failure.message : '' };
  }
  const source = isObject(value) ? value['source'] : undefined;
  const inline = isObject(source) ? source['inline'] : undefined;
  if (!isObject(value) || !isObject(source) || (typeof inline === 'string' ? inline === '' : !isObject(inline))) return { value, inline: undefined };
  try {
    const text = typeof inline === 'string' ? inline : JSON.stringify(inline);
    return { value: { ...value, source: { ...source, inline: PLACE } }, inline: new TextEncoder().encode(text) };
  } catch {
    return { wrong: 'depth', message: 'the document is nested too deeply' };
  }
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value);
