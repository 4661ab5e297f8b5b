import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { OperationVerdict } from '#libs/core/conversion.js';
import type { Definitions } from '#libs/core/json-schema.js';
import { countVerdicts, packDefinitions, packLedger, unpackDefinitions, unpackLedger } from './packed.js';

const reason = fc.record({ code: fc.string(), message: fc.string(), pointer: fc.string() });
const operation: fc.Arbitrary<OperationVerdict> = fc.record({
  method: fc.string(), path: fc.string(), operationId: fc.option(fc.string(), { nil: undefined }), tool: fc.option(fc.string(), { nil: undefined }),
  verdict: fc.constantFrom('exact', 'degraded', 'refused'), reasons: fc.array(reason, { maxLength: 2 }), notes: fc.array(reason, { maxLength: 2 }),
});

describe('packed content', () => {
  it('gives every ledger back entry for entry', () => fc.assert(fc.asyncProperty(fc.array(operation, { maxLength: 10 }), async (ledger) => {
    expect(await unpackLedger(await packLedger(ledger))).toEqual(ledger);
  })));

  it('gives every pool of schemas back, whatever their names', () => fc.assert(fc.asyncProperty(fc.dictionary(fc.string({ unit: 'binary' }), fc.object()), async (schemas) => {
    const definitions = JSON.parse(JSON.stringify(schemas)) as Definitions;
    expect(await unpackDefinitions(await packDefinitions(definitions))).toEqual(definitions);
  })));

  it('counts verdicts', () => {
    const one = { method: 'GET', path: '/', operationId: undefined, tool: undefined, reasons: [], notes: [] };
    expect(countVerdicts([{ ...one, verdict: 'exact' }, { ...one, verdict: 'refused' }, { ...one, verdict: 'exact' }])).toEqual({ operations: 3, exact: 2, degraded: 0, refused: 1 });
  });
});
