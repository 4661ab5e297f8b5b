import { chmodSync, closeSync, existsSync, fsyncSync, mkdirSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Anchor } from '#libs/audit/checkpointer.js';
import { CheckpointSigner, newSigningKey } from '#libs/audit/checkpoint.js';

export class AuditKeyUnusable extends Error {
  readonly code = 'AUDIT_KEY_UNUSABLE';
  override get name(): string { return 'AuditKeyUnusable'; }
}

/** The signer of the file's key; where there is no file one is made, readable by its owner alone. Throws `AuditKeyUnusable`. */
export function signerOfFile(path: string): CheckpointSigner {
  try {
    if (!existsSync(path)) {
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      write(path, newSigningKey(), 'wx');
    }
    return new CheckpointSigner(readFileSync(path, 'utf8'));
  } catch (failure) {
    throw new AuditKeyUnusable(`The key that signs the audit trail's checkpoints, ${path}, cannot be used: ${failure instanceof Error ? failure.message : String(failure)}`, { cause: failure });
  }
}

/** Appends checkpoints to a file, one JSON object a line; resolves when they are on the disk. A line that was torn by a crash is ended first. */
export const fileAnchor = (path: string): Anchor => async (checkpoints) => {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const torn = existsSync(path) && !/(^|\n)$/.test(readFileSync(path, 'utf8').slice(-1));
  write(path, `${torn ? '\n' : ''}${checkpoints.map((checkpoint) => `${JSON.stringify(checkpoint)}\n`).join('')}`, 'a');
};

function write(path: string, text: string, flags: string): void {
  const file = openSync(path, flags, 0o600);
  try { writeSync(file, text); fsyncSync(file); } finally { closeSync(file); }
  if (flags === 'wx') chmodSync(path, 0o600);
}
