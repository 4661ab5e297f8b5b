import { type RecordBatch, type RecordSink, usageEvent } from '#libs/core/usage-events.js';
import type { LedgerConsumer } from './consumer.js';
import { takeEvent } from './intake.js';

/** The journal's records straight into the ledger, by the same consumer that reads them from Kafka. */
export const ledgerSink = (consumer: Pick<LedgerConsumer, 'take'>, now: () => number = Date.now): RecordSink => ({
  name: 'ledger',
  accept: async ({ source, complete, ended, records }: RecordBatch) => {
    await consumer.take({
      stream: source, next: BigInt(complete), items: records.map((record) => takeEvent(usageEvent(record, source), now(), record)), ...(ended ? { ended: source } : {}),
    });
  },
});
