import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { SnapshotDocument } from '#libs/core/catalogue.js';
import type { TenantSlug } from '#libs/core/tenant.js';

/**
 * The last good snapshot of each tenant on disk, one file each, for a cold start while the control plane is away.
 * A file is replaced whole (written beside, synced, renamed): a crash leaves the old one or the new one.
 */
export class SnapshotFiles {
  constructor(private readonly directory: string) {}

  async write(document: SnapshotDocument): Promise<void> {
    await mkdir(this.directory, { recursive: true, mode: 0o700 });
    const path = this.path(document.tenant);
    const beside = `${path}.${process.pid}.tmp`;
    const file = await open(beside, 'w', 0o600);
    try {
      await file.writeFile(JSON.stringify(document));
      await file.sync();
    } finally { await file.close(); }
    await rename(beside, path);
  }

  /** Undefined when there is none. Rejects when the file is not a snapshot of this tenant. */
  async read(tenant: TenantSlug): Promise<SnapshotDocument | undefined> {
    let text: string;
    try { text = await readFile(this.path(tenant), 'utf8'); } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw failure;
    }
    const document = JSON.parse(text) as Partial<SnapshotDocument> | null;
    if (document?.tenant !== tenant || typeof document.revision !== 'number' || !Array.isArray(document.apis) || !Array.isArray(document.targets)) {
      throw new Error(`${this.path(tenant)} is not a snapshot of tenant ${tenant}; delete it`);
    }
    return document as SnapshotDocument;
  }

  async remove(tenant: TenantSlug): Promise<void> { await rm(this.path(tenant), { force: true }); }

  /** A slug is a DNS label: no separator, no dot. */
  private path(tenant: TenantSlug): string { return join(this.directory, `${tenant}.json`); }
}
