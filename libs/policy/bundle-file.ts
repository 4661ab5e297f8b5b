import { createHash } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import type { OwnRego } from './compile-rego.js';
import type { OperatorPolicy } from './policy-data.js';
import { policyData } from './policy-data.js';
import { shippedBundle } from './shipped-policy.js';

export interface Bundle { /** SHA-256 (hex) over policy and data; OPA puts it on every decision. */ readonly revision: string; /** gzip of a tar archive, as OPA reads bundles. */ readonly bytes: Uint8Array }

/** The shipped policy with these parts, for an OPA server: own Rego as it was written, which the server compiles. */
export function bundleOf(operator: OperatorPolicy, own: OwnRego | undefined): Bundle {
  const shipped = shippedBundle();
  const { governance } = policyData(shipped.data, operator) as { readonly governance: object };
  // Own Rego may look at anything.
  const data = own ? { governance: { ...governance, own_rego: { varies: ['arguments', 'time'] } } } : { governance };
  const files: [string, string][] = [['authz.rego', shipped.rego], ['data.json', JSON.stringify(data)]];
  // Named by scope: two tenants may call their files alike.
  if (own?.operator) files.push(['own/operator.rego', own.operator.rego]);
  for (const [tenant, { rego }] of Object.entries(own?.tenants ?? {})) files.push([`own/tenants/${tenant}.rego`, rego]);
  const revision = createHash('sha256').update(JSON.stringify(files)).digest('hex');
  files.push(['.manifest', JSON.stringify({ revision, roots: ['stoa', 'governance'] })]);
  return { revision, bytes: gzipSync(Buffer.concat([...files.flatMap(([name, text]) => entry(name, Buffer.from(text))), Buffer.alloc(1024)])) };
}

/** Puts it in the file's place whole: whoever reads the file sees the one before or this one. */
export async function writeBundle(file: string, { bytes }: Bundle): Promise<void> {
  await writeFile(`${file}.new`, bytes, { mode: 0o644 });
  await rename(`${file}.new`, file);
}

/** One regular file of a tar archive (POSIX.1-1988, ustar). */
function entry(name: string, content: Buffer): readonly Buffer[] {
  const head = Buffer.alloc(512);
  head.write(name, 0, 100, 'utf8');
  for (const [text, at] of [['0000644\0', 100], ['0000000\0', 108], ['0000000\0', 116], [`${content.length.toString(8).padStart(11, '0')}\0`, 124], ['00000000000\0', 136], ['        ', 148], ['0', 156], ['ustar\0', 257], ['00', 263]] as const) head.write(text, at, 'latin1');
  head.write(`${head.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return [head, content, Buffer.alloc((512 - content.length % 512) % 512)];
}
