import { readFileSync } from 'node:fs';

export interface ShippedBundle { readonly rego: string; readonly wasm: Uint8Array; readonly data: unknown }

const file = (name: string): Buffer => readFileSync(new URL(`bundle/${name}`, import.meta.url));

/** The policy that comes with the product: its Rego, the same compiled, and the data that it decides by. */
export function shippedBundle(): ShippedBundle {
  return { rego: file('authz.rego').toString('utf8'), wasm: file('policy.wasm'), data: JSON.parse(file('data.json').toString('utf8')) as unknown };
}

/** The files of a bundle folder for an OPA server (`opa run --server --bundle FOLDER`), by name. */
export function bundleFiles(rego: string, data: unknown, revision: string): Readonly<Record<string, string>> {
  return { 'authz.rego': rego, 'data.json': JSON.stringify(data), '.manifest': JSON.stringify({ revision, roots: ['stoa/authz', 'governance'] }) };
}
