import { readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { corpusFolder } from '../../tools/corpus.mjs';
import type { Target } from '#libs/core/target.js';
import { ToolIndex } from '#libs/discovery/tool-index.js';
import { convertDocument } from '#libs/openapi/convert.js';

const DOCUMENTS = { github: 'github.com/api.github.com.json', stripe: 'stripe.com.json', slack: 'slack.com.json', spotify: 'spotify.com.json' };
const questions = readFileSync(new URL('../discovery/questions.tsv', import.meta.url), 'utf8').split('\n').filter((line) => line !== '' && !line.startsWith('#')).map((line) => line.split('\t') as [string, string]);

describe('the tool that answers a question, among those of four public APIs', () => {
  let index: ToolIndex;
  let tools = 0;
  beforeAll(async () => {
    const folder = corpusFolder();
    const targets: Target[] = [];
    for (const [prefix, file] of Object.entries(DOCUMENTS)) {
      const { tools: made } = await convertDocument(readFileSync(`${folder}/${file}`), { naming: { prefix: `${prefix}_` } });
      targets.push(...made as unknown as Target[]);
    }
    tools = targets.length;
    index = new ToolIndex(targets);
  });
  it('is found first for nine questions of ten', () => {
    const missed = questions.filter(([question, name]) => index.search(question, 1)[0]?.target.name !== name);
    expect(tools).toBeGreaterThanOrEqual(1000);
    expect(questions.length).toBeGreaterThanOrEqual(200);
    expect(missed.length).toBeLessThanOrEqual(questions.length / 10);
  });
  it('is among the first five for all but a few', () => {
    expect(questions.filter(([question, name]) => !index.search(question, 5).some(({ target }) => target.name === name)).length).toBeLessThanOrEqual(4);
  });
});
