import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DataFolderInUse, DataFolderUnusable, ownDataFolder } from './data-folder.js';

describe('the data folder', () => {
  let parent: string;
  let folder: string;
  beforeEach(async () => {
    parent = await mkdtemp(path.join(tmpdir(), 'stoa-folder-'));
    folder = path.join(parent, 'a', 'data');
  });
  afterEach(() => rm(parent, { recursive: true, force: true }));
  const putOwner = async (content: string): Promise<void> => {
    const release = await ownDataFolder(folder);
    await release();
    await writeFile(path.join(folder, 'owner.7'), content);
  };

  it('is made, for its owner alone', async () => {
    await ownDataFolder(folder);
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  it('is refused while its owner lives, in one line that names the process', async () => {
    const release = await ownDataFolder(folder);
    const refusal = await ownDataFolder(folder).catch((failure: unknown) => failure);
    expect(refusal).toBeInstanceOf(DataFolderInUse);
    expect((refusal as Error).message).toBe(`The data folder ${folder} is in use by process ${process.pid}: stop that one first, or choose another folder`);
    await release();
    await (await ownDataFolder(folder))();
  });

  it('is taken over from an owner that was killed', async () => {
    const child = spawn(process.execPath, ['-e', 'process.stdin.resume()'], { stdio: ['pipe', 'ignore', 'ignore'] });
    await putOwner(JSON.stringify({ pid: child.pid, start: null, released: false }));
    await expect(ownDataFolder(folder)).rejects.toBeInstanceOf(DataFolderInUse);
    child.kill('SIGKILL');
    await once(child, 'exit');
    await (await ownDataFolder(folder))();
  });

  it('is taken over when the process number belongs to another process by now', async () => {
    await putOwner(JSON.stringify({ pid: process.pid, start: '1', released: false }));
    await expect(ownDataFolder(folder)).resolves.toBeTypeOf('function');
  });

  it.each(['', '{', 'null', '{"pid":"1"}', '{"pid":-1}'])('is taken over from an owner file that says %j', async (content) => {
    await putOwner(content);
    await expect(ownDataFolder(folder)).resolves.toBeTypeOf('function');
  });

  it('goes to exactly one of many that ask at once, after a clean end and after a kill', async () => {
    for (const owner of [{ pid: process.pid, start: 'x', released: true }, { pid: process.pid, start: 'not this one', released: false }]) {
      await putOwner(JSON.stringify(owner));
      const outcomes = await Promise.allSettled(Array.from({ length: 20 }, () => ownDataFolder(folder)));
      const won = outcomes.filter((outcome) => outcome.status === 'fulfilled');
      expect(won).toHaveLength(1);
      expect(outcomes.flatMap((outcome) => (outcome.status === 'rejected' && !(outcome.reason instanceof DataFolderInUse) ? [outcome.reason as unknown] : []))).toEqual([]);
      await won[0]?.value();
      expect((await readdir(folder)).filter((name) => name.startsWith('owner'))).toHaveLength(1);
    }
  });

  it('that cannot be made says why and what to do', async () => {
    await writeFile(path.join(parent, 'file'), '');
    const refusal = await ownDataFolder(path.join(parent, 'file', 'data')).catch((failure: unknown) => failure);
    expect(refusal).toBeInstanceOf(DataFolderUnusable);
    expect((refusal as Error).message).toMatch(/^The data folder .*file\/data cannot be used \(ENOTDIR.*\): make it writable, or choose another folder$/);
  });
});
