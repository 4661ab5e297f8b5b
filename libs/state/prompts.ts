import { NoSuchRecord } from '#libs/core/control-store.js';
import type { ControlStore, PromptRecord } from '#libs/core/control-store.js';
import type { Database } from './database.js';
import type { Prisma, Prompt } from './generated/client.js';
import { clean, publication, reading } from './publication.js';

type PromptStore = Pick<ControlStore, 'listPrompts' | 'putPrompt' | 'deletePrompt'>;

export const promptStore = (database: Database): PromptStore => ({
  listPrompts: (tenant) => reading(database, tenant, async (transaction) => (await transaction.prompt.findMany({ where: { tenant }, orderBy: { name: 'asc' } })).map(promptRecord)),

  putPrompt: async (tenant, prompt) => {
    const { name } = prompt;
    const { value: created, revision } = await publication(database, tenant, async (transaction) => {
      const data = {
        title: prompt.title === undefined ? null : clean(prompt.title), description: clean(prompt.description), tags: prompt.tags.map(clean),
        arguments: prompt.arguments as unknown as Prisma.InputJsonArray, messages: prompt.messages as unknown as Prisma.InputJsonArray, updatedAt: new Date(),
      };
      const { count } = await transaction.prompt.updateMany({ where: { tenant, name }, data });
      if (count === 0) await transaction.prompt.create({ data: { tenant, name, ...data } });
      return count === 0;
    });
    return { revision, created };
  },

  deletePrompt: async (tenant, name) => {
    const { revision } = await publication(database, tenant, async (transaction) => {
      const { count } = await transaction.prompt.deleteMany({ where: { tenant, name } });
      if (count === 0) throw new NoSuchRecord('Prompt', name);
    });
    return { revision };
  },
});

export const promptRecord = (row: Prompt): PromptRecord => ({
  name: row.name, ...(row.title === null ? {} : { title: row.title }), description: row.description,
  arguments: row.arguments as unknown as PromptRecord['arguments'], messages: row.messages as unknown as PromptRecord['messages'], tags: row.tags,
});
