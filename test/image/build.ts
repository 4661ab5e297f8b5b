import { execFile } from 'node:child_process';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { type Instruction, readDockerfile, type Stage } from './dockerfile.js';

const run = promisify(execFile);
const REPOSITORY = path.join(import.meta.dirname, '..', '..');

/** The files of a checkout that .dockerignore lets into the build, by path. */
export async function buildContext(root = REPOSITORY): Promise<readonly string[]> {
  const rules = (await readFile(path.join(root, '.dockerignore'), 'utf8')).split('\n').map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => (line.startsWith('!') ? { pattern: line.slice(1), keeps: true } : { pattern: line, keeps: false }));
  const kept = (file: string): boolean => rules.findLast(({ pattern }) => matches(file, pattern))?.keeps ?? true;
  const files: string[] = [];
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(path.join(root, folder), { withFileTypes: true })) {
      const file = path.join(folder, entry.name);
      if (!entry.isDirectory()) { if (kept(file)) files.push(file); continue; }
      // oxlint-disable-next-line no-await-in-loop -- a folder after the other
      if (kept(file) || rules.some(({ pattern, keeps }) => keeps && pattern.startsWith(`${file}/`))) await walk(file);
    }
  };
  await walk('');
  return files.toSorted();
}

/** Docker's globs: a star matches a leading dot, too. */
const globOf = (pattern: string): RegExp => new RegExp(`^${pattern.replaceAll(/[.+^$()|[\]{}\\]/g, '\\$&').replaceAll('**/', '\u0000').replaceAll('*', '[^/]*').replaceAll('\u0000', '(.*/)?')}$`);

/** Whether a pattern is for this file, or for a folder above it. */
function matches(file: string, pattern: string): boolean {
  const expression = globOf(pattern);
  for (let at = file; at !== '.'; at = path.dirname(at)) if (expression.test(at)) return true;
  return false;
}

/**
 * Does what `docker build --target` does of a Dockerfile, without an engine: each stage is a folder below `folder`, COPY copies between
 * them, RUN runs natively in the stage's work folder. What an image of a registry would bring is not there; commands are this
 * machine's. So RUN may name relative paths alone. Answers where the target's file system is.
 */
export class NativeBuild {
  readonly #done = new Map<string, string>();
  private constructor(private readonly folder: string, private readonly stages: ReadonlyMap<string, Stage>, private readonly context: string, private readonly environment: NodeJS.ProcessEnv) {}

  static async open(folder: string, environment: NodeJS.ProcessEnv): Promise<NativeBuild> {
    const context = path.join(folder, 'context');
    for (const file of await buildContext()) {
      // oxlint-disable-next-line no-await-in-loop -- some hundred small files
      await cp(path.join(REPOSITORY, file), path.join(context, file), { preserveTimestamps: true });
    }
    return new NativeBuild(folder, await readDockerfile(path.join(REPOSITORY, 'Dockerfile')), context, environment);
  }

  async target(name: string): Promise<string> {
    const known = this.#done.get(name);
    if (known !== undefined) return known;
    const stage = this.stages.get(name);
    if (stage === undefined) throw new Error(`The Dockerfile has no stage ${name}`);
    const base = this.stages.has(stage.from) ? await this.target(stage.from) : undefined;
    const changes = stage.instructions.some(({ name: kind }) => kind === 'RUN' || kind === 'COPY');
    const root = base !== undefined && !changes ? base : path.join(this.folder, 'stages', name);
    if (root !== base) {
      await mkdir(path.dirname(root), { recursive: true });
      // Hard links: nothing in our stages writes into a file that is there, and 900 MB need not be copied twice.
      if (base === undefined) await mkdir(root); else await run('cp', ['-al', base, root]);
      await this.#fill(root, stage);
    }
    this.#done.set(name, root);
    return root;
  }

  async #fill(root: string, stage: Stage): Promise<void> {
    let workdir = this.#workdir(stage.from);
    for (const instruction of stage.instructions) {
      /* oxlint-disable no-await-in-loop -- in their order */
      if (instruction.name === 'WORKDIR') {
        workdir = instruction.text;
        await mkdir(path.join(root, workdir), { recursive: true });
      } else if (instruction.name === 'COPY') await this.#copy(root, workdir, instruction);
      else if (instruction.name === 'RUN') await this.#run(path.join(root, workdir), instruction.text);
      /* oxlint-enable no-await-in-loop */
    }
  }
  #workdir(name: string): string {
    const stage = this.stages.get(name);
    return stage?.instructions.findLast(({ name: kind }) => kind === 'WORKDIR')?.text ?? (stage ? this.#workdir(stage.from) : '/');
  }
  async #copy(root: string, workdir: string, { words, flags }: Instruction): Promise<void> {
    const destination = words.at(-1) ?? '';
    const from = flags['from'] === undefined ? this.context : await this.target(flags['from']);
    const to = path.join(root, destination.startsWith('/') ? destination : path.join(workdir, destination));
    for (const source of words.slice(0, -1)) {
      // As Docker does: a folder's content, not the folder.
      const isFolder = source.endsWith('/');
      const target = isFolder || !destination.endsWith('/') ? to : path.join(to, path.basename(source));
      // oxlint-disable-next-line no-await-in-loop -- in their order
      await cp(path.join(from, source), target, { recursive: isFolder, verbatimSymlinks: true, preserveTimestamps: true });
      const [uid, gid] = (flags['chown'] ?? '').split(':');
      // oxlint-disable-next-line no-await-in-loop -- in their order
      if (uid !== '' && uid !== undefined) await run('chown', ['-R', `${uid}:${gid ?? uid}`, target]);
    }
  }
  async #run(cwd: string, command: string): Promise<void> {
    try { await run('sh', ['-ec', command], { cwd, env: this.environment, maxBuffer: 64 * 1024 * 1024 }); } catch (failure) {
      const { stdout = '', stderr = '' } = failure as { stdout?: string; stderr?: string };
      await writeFile(path.join(this.folder, 'failed.log'), stdout + stderr);
      throw new Error(`RUN ${command}\n${(stdout + stderr).slice(-4000)}`, { cause: failure });
    }
  }
}
