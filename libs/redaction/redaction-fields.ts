import { z } from 'zod';
import { readSettings } from '#libs/redaction/settings.js';
import { SHIPPED } from '#libs/redaction/shipped.js';

const standard = SHIPPED.filter(({ optional }) => optional !== true).map(({ name }) => name).join(',');

const flag = () => z.stringbool({ truthy: ['true', '1', 'yes', 'on'], falsy: ['false', '0', 'no', 'off'] });

/** Fields for a process's configuration schema. */
export const redactionFields = {
  redactionEnabled: flag().prefault('true').meta({ env: 'REDACTION_ENABLED', description: 'Replaces personal data and credentials in everything that calls answer, and in what is kept of them.' }),
  redactionPatterns: z.string().transform((text) => text.split(',').map((name) => name.trim()).filter((name) => name !== '')).superRefine((names, context) => {
    try { readSettings({ patterns: names }); } catch (failure) { context.addIssue({ code: 'custom', message: String(failure instanceof Error ? failure.message : failure).replace(/^REDACTION_PATTERNS: /, '') }); }
  }).prefault(standard).meta({ env: 'REDACTION_PATTERNS', description: 'Which of the shipped patterns are used, comma-separated; `phone` may be added.' }),
  redactionFile: z.string().optional().meta({ env: 'REDACTION_FILE', description: 'YAML file with patterns of your own, `dlp.patterns[{name, regex, replace, fields}]`, and fields that are masked for one tool. One that is wrong stops the start.' }),
  redactionRequests: flag().prefault('false').meta({ env: 'REDACTION_REQUESTS', description: 'Also redacts arguments before their backend sees them. Records never hold them unredacted, either way.' }),
  redactionBudgetMs: z.coerce.number().int().min(1).max(60_000).default(250).meta({ env: 'REDACTION_BUDGET_MS', description: 'Longest time of one redaction, in milliseconds; past it the call is an error and nothing is answered.' }),
};
const Fields = z.object(redactionFields);

export const redactionOptions = (config: z.infer<typeof Fields>): { readonly patterns: readonly string[]; readonly file?: string; readonly budgetMs: number } =>
  ({ patterns: config.redactionPatterns, budgetMs: config.redactionBudgetMs, ...(config.redactionFile === undefined ? {} : { file: config.redactionFile }) });
