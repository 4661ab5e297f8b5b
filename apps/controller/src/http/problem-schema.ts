import { z } from 'zod';

export const ProblemAnswer = z.object({
  detail: z.union([
    z.string(),
    z.array(z.object({
      loc: z.array(z.union([z.string(), z.int()])).meta({ description: 'Where: `body`, `query` or `path`, then keys; for a document a JSON Pointer, or `line` and its number.' }),
      msg: z.string(),
      type: z.string(),
    })),
  ]),
}).meta({ id: 'Problem', description: 'Why a request was refused.' });
