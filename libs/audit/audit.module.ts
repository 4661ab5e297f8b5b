import { type DynamicModule, Inject, Module, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common';
import type { AuditModuleOptions } from '#libs/audit/audit-fields.js';
import { Checkpointer } from '#libs/audit/checkpointer.js';
import { CheckpointSigner } from '#libs/audit/checkpoint.js';
import { AuditKeeper } from '#libs/audit/keeper.js';
import { AuditKeyUnusable, fileAnchor, signerOfFile } from '#libs/audit/key-file.js';
import { storedAdminAudit } from '#libs/audit/record-calls.js';
import { SinkFeed } from '#libs/audit/sink-feed.js';
import { makeSink } from '#libs/audit/sinks.js';
import { storedTrail } from '#libs/audit/trail.js';
import type { Outbound } from '#libs/core/outbound.js';
import type { Log } from '#libs/core/ports.js';
import type { SqlDatabase } from '#libs/core/sql.js';
import { ADMIN_AUDIT, AUDIT_TRAIL, LOG, OUTBOUND, READINGS, SQL_DATABASE } from '#libs/core/tokens.js';

const CHECKPOINTER = Symbol('Checkpointer');
const KEEPER = Symbol('AuditKeeper');

/** The trail of administration, what is read of both trails, and all that looks after them. Calls come through the consumer of call records (`auditCalls`). */
@Module({})
export class AuditModule implements OnApplicationBootstrap, OnApplicationShutdown {
  constructor(@Inject(KEEPER) private readonly keeper: AuditKeeper) {}

  static with(options: AuditModuleOptions): DynamicModule {
    const { key, anchorsFile, everyEntries, everySeconds, retentionDays, sinks, webhookSecret: secret, service } = options;
    const checkpointer = (database: SqlDatabase, log: Log): Checkpointer | undefined => {
      const signer = signerOf(key);
      if (signer === undefined) log.warn({}, 'AUDIT_SIGNING_KEY is not set: no checkpoints of the audit trail are signed, and a trail that is cut at its end will not be missed');
      return signer && new Checkpointer({ database, signer, everyEntries, everySeconds, anchor: anchorsFile === undefined ? undefined : fileAnchor(anchorsFile), log });
    };
    const feed = (database: SqlDatabase, log: Log, outbound: Outbound | undefined): SinkFeed | undefined =>
      (sinks.length === 0 ? undefined : new SinkFeed({ database, sinks: sinks.map((one) => makeSink(one, { outbound, secret, service })), log }));
    return {
      module: AuditModule, global: true,
      providers: [
        { provide: CHECKPOINTER, inject: [SQL_DATABASE, LOG], useFactory: checkpointer },
        { provide: ADMIN_AUDIT, inject: [SQL_DATABASE], useFactory: storedAdminAudit },
        { provide: AUDIT_TRAIL, inject: [SQL_DATABASE, CHECKPOINTER], useFactory: (database: SqlDatabase, signs: Checkpointer | undefined) => storedTrail({ database, checkpointer: signs }) },
        {
          provide: KEEPER, inject: [SQL_DATABASE, LOG, CHECKPOINTER, { token: OUTBOUND, optional: true }],
          useFactory: (database: SqlDatabase, log: Log, signs: Checkpointer | undefined, outbound?: Outbound) => new AuditKeeper({ database, checkpointer: signs, feed: feed(database, log, outbound), retentionDays, log }),
        },
        { provide: READINGS.audit, inject: [KEEPER], useFactory: ({ readings }: AuditKeeper) => readings },
      ],
      exports: [ADMIN_AUDIT, AUDIT_TRAIL, READINGS.audit],
    };
  }

  onApplicationBootstrap(): void { this.keeper.start(); }
  async onApplicationShutdown(): Promise<void> { await this.keeper.close(); }
}

function signerOf(key: AuditModuleOptions['key']): CheckpointSigner | undefined {
  if (key === undefined) return undefined;
  if ('file' in key) return signerOfFile(key.file);
  try { return new CheckpointSigner(key.pem); } catch (failure) { throw new AuditKeyUnusable(`AUDIT_SIGNING_KEY: ${failure instanceof Error ? failure.message : String(failure)}`, { cause: failure }); }
}
