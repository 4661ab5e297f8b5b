import { createHash } from 'node:crypto';
import { buildRequest } from '#libs/backends/rest/request.js';
import type { ConvertedDocument } from '#libs/core/conversion.js';
import { Denial } from '#libs/core/errors.js';
import type { RestBinding } from '#libs/core/rest-binding.js';
import { createArgumentValidator } from '#libs/validation/validator.js';
import { differences, type Form, formOf } from './compare.js';
import { explain, type ExplainedClass, without } from './explained.js';
import { BASE } from './reference.js';
import { type Mode, Random, Values } from './values.js';

export interface Tally {
  operations: number;
  argumentSets: number;
  equal: number;
  /** Equal but for arguments of these classes. */
  readonly explained: Map<ExplainedClass, number>;
  /** Refused by the path guard or another rule of ours. */
  readonly refused: Map<string, number>;
  invalid: number;
  readonly invalidSamples: string[];
  readonly disagreements: string[];
}
export const newTally = (): Tally => ({ operations: 0, argumentSets: 0, equal: 0, explained: new Map(), refused: new Map(), invalid: 0, invalidSamples: [], disagreements: [] });

const MODES: readonly Mode[] = ['lean', 'full', 'mixed'];
const count = <K>(map: Map<K, number>, key: K): void => { map.set(key, (map.get(key) ?? 0) + 1); };

/** The independent serializer's request for an operation of the document, at work or as it was recorded. */
export type AskReference = (binding: RestBinding, from: { readonly path: string; readonly method: string }, args: Readonly<Record<string, unknown>>) => Promise<Form>;

/** Three argument sets for every operation that the ledger calls exact: our request against the reference's. */
export async function prove(name: string, converted: ConvertedDocument, reference: AskReference, tally: Tally): Promise<void> {
  const validator = createArgumentValidator();
  const exact = new Set(converted.ledger.filter(({ verdict }) => verdict === 'exact').map(({ tool }) => tool));
  for (const tool of converted.tools) {
    if (!exact.has(tool.name) || tool.backend.kind !== 'rest') continue;
    tally.operations += 1;
    const binding: RestBinding = { ...tool.backend, baseUrl: BASE };
    let invalidHere = 0;
    const places = new Map(binding.parameters.map((p) => [p.argument, p.in]));
    const context = { binding, swagger2: converted.format === 'swagger-2.0' };
    const compare = async (args: Record<string, unknown>): Promise<string | undefined> => {
      const ours = buildRequest(binding, undefined, args);
      if (ours instanceof Denial) return `refused: ${ours.issues?.[0]?.message ?? ours.message}`;
      let theirs;
      try {
        theirs = await reference(binding, { path: tool.path, method: tool.method }, args);
      } catch (error) {
        return `reference failed: ${(error as Error).message}`;
      }
      const found = differences(await formOf(binding, ours), theirs);
      return found.length === 0 ? undefined : found.join(' | ');
    };
    for (const mode of MODES) {
      const random = new Random(createHash('sha256').update(`${name} ${tool.name} ${mode}`).digest().readUInt32LE());
      const args = new Values(converted.definitions, random, mode, places).of(tool.inputSchema) as Record<string, unknown>;
      tally.argumentSets += 1;
      const where = `${name} ${tool.method} ${tool.path} (${mode})`;
      const verdict = validator.validate({ inputSchema: tool.inputSchema, definitions: converted.definitions }, args);
      if ('issues' in verdict) {
        tally.invalid += 1;
        invalidHere += 1;
        if (invalidHere === 1 && tally.invalidSamples.length < 3_000) tally.invalidSamples.push(`${where}: ${JSON.stringify(verdict.issues.slice(0, 2))}`);
      }
      const problem = await compare(args);
      if (problem === undefined) { tally.equal += 1; continue; }
      const explained = explain(context, args);
      const rest = explained.length === 0 ? problem : await compare(without(binding, args, explained));
      if (rest === undefined) for (const because of new Set(explained.map((e) => e.because))) count(tally.explained, because);
      else if (rest.startsWith('reference failed: Could not parse parameter value string')) count(tally.explained, 'contradictory-enum');
      else if (rest.startsWith('refused: ')) count(tally.refused, rest.slice('refused: '.length));
      else tally.disagreements.push(`${where}: ${rest}`);
    }
  }
}
