import { type FSWatcher, watch } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PolicyFiles, PolicySet } from './policy-files.js';

/** A folder of policies: the operator's files in it, each tenant's in `tenants/NAME/`. */
export interface FolderPolicies {
  /** Rejects when the folder cannot be read. */
  read(): Promise<PolicySet>;
  /** Calls back after changes, once they have settled. Answers the way to stop. */
  watch(changed: () => void): () => void;
}

const SETTLE_MS = 100;

/** A folder that is looked at again every `pollMs` milliseconds (default 1000) beside the file system's own notices, which mounts do not all send. */
export function folderPolicies(folder: string, pollMs = 1000): FolderPolicies {
  const read = async (): Promise<PolicySet> => {
    const operator = await filesOf(folder);
    const names = (await readdir(join(folder, 'tenants'), { withFileTypes: true }).catch(() => [])).filter((entry) => !entry.isFile() && !entry.name.startsWith('.')).map(({ name }) => name);
    const tenants = await Promise.all(names.toSorted().map(async (name) => [name, await filesOf(join(folder, 'tenants', name))] as const));
    return { ...(Object.keys(operator).length > 0 ? { operator } : {}), tenants: Object.fromEntries(tenants.filter(([, files]) => Object.keys(files).length > 0)) };
  };
  return {
    read,
    watch: (changed) => {
      let last: string | undefined;
      let timer: NodeJS.Timeout | undefined;
      const look = async (): Promise<void> => {
        const set = await read().catch(() => undefined);
        if (!set) return;
        const now = JSON.stringify(set);
        if (last !== undefined && now !== last) changed();
        last = now;
      };
      const soon = (): void => { clearTimeout(timer); timer = setTimeout(() => { void look(); }, SETTLE_MS); };
      void look();
      const polling = setInterval(() => { void look(); }, pollMs);
      polling.unref();
      let watcher: FSWatcher | undefined;
      try {
        watcher = watch(folder, { recursive: true, persistent: false }, soon);
        watcher.on('error', () => undefined);
      } catch { /* The polling finds it. */ }
      return () => { clearTimeout(timer); clearInterval(polling); watcher?.close(); };
    },
  };
}

async function filesOf(folder: string): Promise<PolicyFiles> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => !entry.isDirectory() && /\.(ya?ml|rego)$/.test(entry.name) && !entry.name.startsWith('.')).map(({ name }) => name);
  return Object.fromEntries(await Promise.all(names.toSorted().map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)));
}
