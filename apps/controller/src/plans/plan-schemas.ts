import { z } from 'zod';
import { ApiNameField, text } from '../http/fields.js';
import { AmountField } from '../usage/usage-schemas.js';

const QuotaField = z.union([z.int().min(0), z.string().regex(/^\d{1,18}$/)]).transform(String);
export const PlanNameField = ApiNameField;
export const PlanBody = z.strictObject({
  name: PlanNameField, title: text(200).min(1).optional(), fee: AmountField.default('0').meta({ description: 'Of a month.' }),
  quota: QuotaField.optional().meta({ description: 'Calls a month; more are refused.' }), cap: AmountField.optional().meta({ description: 'Spend a month; more is refused.' }),
  priceBook: ApiNameField.optional().meta({ description: 'Default: the tenant\'s own.' }),
}).meta({ id: 'PlanBody' });
export type PlanBody = z.infer<typeof PlanBody>;
export const PlanAnswer = z.object({ name: z.string(), title: z.string(), fee: z.string(), quota: z.string().nullable(), cap: z.string().nullable(), priceBook: z.string().nullable() }).meta({ id: 'Plan' });
export const PlanList = z.object({ plans: z.array(PlanAnswer) }).meta({ id: 'PlanList' });

export const SubscriptionBody = z.strictObject({
  plan: PlanNameField, subscriber: text(200).min(1).meta({ description: 'Who subscribes; for people.' }), tools: z.array(text(64).min(1)).max(1000).optional().meta({ description: 'The only tools that the key may call.' }),
  ttlSeconds: z.int().min(60).max(10 * 365 * 86_400).default(365 * 86_400),
}).meta({ id: 'SubscriptionBody' });
export type SubscriptionBody = z.infer<typeof SubscriptionBody>;
export const SubscriptionAnswer = z.object({ id: z.string(), plan: z.string(), subscriber: z.string(), keyId: z.string(), startsAt: z.string(), endedAt: z.string().nullable() }).meta({ id: 'Subscription' });
export const SubscriptionList = z.object({ subscriptions: z.array(SubscriptionAnswer) }).meta({ id: 'SubscriptionList' });
export const NewSubscription = z.object({ subscription: SubscriptionAnswer, secret: z.string().meta({ description: 'The API key, shown this once.' }) }).meta({ id: 'NewSubscription' });

export const BudgetBody = z.strictObject({ cap: AmountField.optional(), quota: QuotaField.optional() }).meta({ id: 'BudgetBody', description: 'Each month; without either there is no budget.' });
export type BudgetBody = z.infer<typeof BudgetBody>;
export const BudgetList = z.object({
  budgets: z.array(z.object({ account: z.string(), cap: z.string().nullable(), quota: z.string().nullable(), spent: z.string(), committed: z.string(), alerts: z.array(z.object({ percent: z.int(), at: z.string() })) })),
}).meta({ id: 'BudgetList' });
