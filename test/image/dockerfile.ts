import { readFile } from 'node:fs/promises';

export interface Instruction { readonly name: string; readonly text: string; readonly flags: Readonly<Record<string, string>>; readonly words: readonly string[] }
export interface Stage {
  readonly name: string;
  /** Another stage's name, or an image of a registry. */
  readonly from: string;
  readonly instructions: readonly Instruction[];
}
export interface Started {
  readonly entrypoint: readonly string[];
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  readonly workdir: string;
  readonly user: string | undefined;
  readonly healthcheck: readonly string[] | undefined;
}

/** The stages of a Dockerfile, in their order. Knows what ours uses: no heredocs, no escape directive, arguments by default only. */
export async function readDockerfile(path: string): Promise<ReadonlyMap<string, Stage>> {
  const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => !/^\s*#/.test(line)).join('\n').replaceAll(/\\\n/g, ' ').split('\n').map((line) => line.trim()).filter((line) => line !== '');
  const stages = new Map<string, Stage & { readonly instructions: Instruction[] }>();
  let current: (Stage & { readonly instructions: Instruction[] }) | undefined;
  for (const line of lines) {
    const [, name = '', rest = ''] = /^(\w+)\s+(.*)$/.exec(line) ?? [];
    if (name === 'FROM') {
      const [, from = '', as] = /^(\S+)(?:\s+AS\s+(\S+))?$/i.exec(rest) ?? [];
      if (as === undefined) throw new Error(`A stage without a name: ${line}`);
      current = { name: as, from, instructions: [] };
      stages.set(as, current);
    } else {
      if (current === undefined) throw new Error(`${name} stands before the first FROM`);
      current.instructions.push(instruction(name, rest));
    }
  }
  return stages;
}

function instruction(name: string, rest: string): Instruction {
  const flags: Record<string, string> = {};
  let text = rest;
  for (let found = /^--([\w-]+)=(\S+)\s+/.exec(text); found; found = /^--([\w-]+)=(\S+)\s+/.exec(text)) {
    flags[found[1] ?? ''] = found[2] ?? '';
    text = text.slice(found[0].length);
  }
  return { name, text, flags, words: text.startsWith('[') ? JSON.parse(text) as string[] : text.split(/\s+/) };
}

/** A stage and all that it is from, the oldest first. */
export function ancestry(stages: ReadonlyMap<string, Stage>, name: string): readonly Stage[] {
  const stage = stages.get(name);
  return stage === undefined ? [] : [...ancestry(stages, stage.from), stage];
}

/** What a container of this target runs, and how. */
export function started(stages: ReadonlyMap<string, Stage>, target: string): Started {
  let state: Started = { entrypoint: [], command: [], environment: {}, workdir: '/', user: undefined, healthcheck: undefined };
  const given = new Map<string, string>();
  for (const { instructions } of ancestry(stages, target)) {
    for (const { name, words, text } of instructions) {
      if (name === 'ENTRYPOINT') state = { ...state, entrypoint: words };
      else if (name === 'CMD') state = { ...state, command: words };
      else if (name === 'WORKDIR') state = { ...state, workdir: text };
      else if (name === 'ARG') given.set(text.split('=')[0] ?? '', text.split('=')[1] ?? '');
      else if (name === 'USER') state = { ...state, user: text };
      else if (name === 'ENV') state = { ...state, environment: { ...state.environment, ...Object.fromEntries(words.map((word) => { const at = word.indexOf('='); return [word.slice(0, at), word.slice(at + 1).replaceAll(/\$(\w+)/g, (_all, argument: string) => given.get(argument) ?? '')]; })) } };
      else if (name === 'HEALTHCHECK') state = { ...state, healthcheck: text === 'NONE' ? undefined : JSON.parse(text.replace(/^(--\S+\s+)*CMD\s+/, '')) as string[] };
    }
  }
  return state;
}
