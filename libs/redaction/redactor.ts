import type { ValidatedCall } from '#libs/core/call.js';
import type { Log, Redactor } from '#libs/core/ports.js';
import type { CallResult, ContentBlock, PromptResult, ResourceContents, ResourceResult, ToolResult } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { fieldMatcher } from './field-paths.js';
import type { ReadSettings } from './settings.js';
import { Budget, TextScanner } from './text-scanner.js';
import { type Rules, type Shape, ValueRedactor } from './value-redactor.js';

export interface RedactorOptions {
  readonly settings: ReadSettings;
  /** Longest time of one redaction, in milliseconds; past it the call is an error. */
  readonly budgetMs: number;
  /** Told how many of what were found, and never where or what. */
  readonly log?: Pick<Log, 'info'> | undefined;
  /** Monotonic milliseconds. */
  readonly now?: () => number;
}

const NO_RULES: Rules = { own: [] };
const idle = ({ own, masked }: Rules): boolean => own.length === 0 && masked === undefined;

/**
 * Replaces what must not leave in everything that a call answers. It works on values and keeps their types; text that says the same as the
 * structured content is made from it. Whatever it throws turns the call into an error.
 */
export function createRedactor({ settings, budgetMs, log, now = () => performance.now() }: RedactorOptions): Required<Redactor> {
  const scanner = new TextScanner(settings.shipped);
  const cards = settings.shipped.some(({ name }) => name === 'credit-card');
  const known = new Map<string, Rules>();
  const plain = settings.own.length === 0 && settings.tenants.size === 0 && settings.tools.length === 0;
  const rulesOf = (tenant: TenantSlug | undefined, name: string): Rules => {
    if (plain) return NO_RULES;
    const key = `${tenant ?? ''} ${name}`;
    let rules = known.get(key);
    if (!rules) {
      if (known.size >= 10_000) known.clear();
      const fields = settings.tools.filter((rule) => rule.tool === name && (rule.tenant === undefined || rule.tenant === tenant)).flatMap((rule) => rule.fields);
      rules = { own: [...settings.own, ...(tenant === undefined ? [] : settings.tenants.get(tenant) ?? [])], masked: fields.length > 0 ? fieldMatcher(fields) : undefined };
      known.set(key, rules);
    }
    return rules;
  };
  const using = (rules: Rules): ValueRedactor => new ValueRedactor(scanner, rules, new Budget(budgetMs, now), cards);

  const redactor: Required<Redactor> = {
    redact(result, call) {
      const rules = rulesOf(call.principal.tenant, call.target.name);
      if (idle(rules) && !suspicious(result, scanner)) return result;
      const on = using(rules);
      const clean = result.type === 'tool' ? tool(result, on, call.target)
        : result.type === 'resource' ? resource(result, on)
          : result.type === 'prompt' ? prompt(result, on)
            : { ...result, ...(result.inputRequests === undefined ? {} : { inputRequests: JSON.parse(on.json(JSON.stringify(result.inputRequests))) as Record<string, unknown> }) };
      if (on.total > 0) log?.info({ request_id: call.requestId, tenant: call.principal.tenant, kind: call.kind, name: call.target.name, redacted: on.counts }, 'redacted');
      return clean;
    },
    redactArguments(args, target) {
      const rules = rulesOf(target.tenant, target.name);
      const json: string | undefined = JSON.stringify(args);
      if (json === undefined || (idle(rules) && !scanner.suspects(json))) return { value: args, replaced: 0 };
      const on = using(rules);
      const clean = on.json(json);
      return { value: on.total === 0 ? args : JSON.parse(clean) as unknown, replaced: on.total };
    },
    redactText(text, tenant) {
      const rules = rulesOf(tenant, '');
      return rules.own.length === 0 && !scanner.suspects(text) ? text : using(rules).textual(text);
    },
    redactValue(value, tenant) {
      const rules = rulesOf(tenant, '');
      const json: string | undefined = JSON.stringify(value);
      if (json === undefined || (rules.own.length === 0 && !scanner.suspects(json))) return value;
      return JSON.parse(using(rules).json(json)) as unknown;
    },
  };
  return redactor;
}

const tool = (result: ToolResult, on: ValueRedactor, target: Target): ToolResult => {
  const { structuredJson } = result;
  const shape: Shape | undefined = target.outputSchema === undefined ? undefined : { schema: target.outputSchema, definitions: target.definitions };
  const structured = structuredJson === undefined ? undefined : on.json(structuredJson, shape);
  const content = blocks(result.content, on, (text) => (text === structuredJson && structured !== undefined ? structured : on.textual(text)));
  const meta = result.meta === undefined ? undefined : JSON.parse(on.json(JSON.stringify(result.meta))) as Record<string, unknown>;
  return { ...result, content, ...(structured === undefined ? {} : { structuredJson: structured }), ...(meta ? { meta } : {}) };
};

/** One look at each text; false for most answers, which then leave as they came. */
function suspicious(result: CallResult, scanner: TextScanner): boolean {
  if (result.type !== 'tool' || result.meta !== undefined) return true;
  const { structuredJson, content } = result;
  if (structuredJson !== undefined && scanner.suspects(structuredJson)) return true;
  let before = '';
  for (const block of content) {
    if (block.type === 'image' || block.type === 'audio') continue;
    if (block.type !== 'text') return true;
    if (block.text === structuredJson) continue;
    // What stands on both sides of a border is looked at together.
    if (scanner.suspects(before === '' ? block.text : before + block.text)) return true;
    before = (before + block.text).slice(-4096);
  }
  return false;
}

function blocks(content: readonly ContentBlock[], on: ValueRedactor, textual: (text: string) => string): readonly ContentBlock[] {
  const each = content.map((block): ContentBlock => {
    if (block.type === 'text') return { ...block, text: textual(block.text) };
    if (block.type === 'resource') return { ...block, resource: contents(block.resource, on) };
    if (block.type === 'resource_link') return { ...block, uri: on.text(block.uri), name: on.text(block.name), ...(block.description === undefined ? {} : { description: on.text(block.description) }) };
    return block;
  });
  const joined = on.neighbours(each.flatMap((block) => (block.type === 'text' ? [block.text] : [])));
  let at = 0;
  return each.map((block) => (block.type === 'text' ? { ...block, text: joined[at++]! } : block));
}

/** Text in whatever form; of bytes only those that say that they are text. */
function contents(resource: ResourceContents, on: ValueRedactor): ResourceContents {
  const uri = on.text(resource.uri);
  if ('text' in resource) return { ...resource, uri, text: on.textual(resource.text) };
  if (!/^text\/|[/+](?:json|xml|yaml)\b/.test(resource.mimeType ?? '')) return { ...resource, uri };
  const text = Buffer.from(resource.blob, 'base64').toString('utf8');
  const clean = on.textual(text);
  return { ...resource, uri, blob: clean === text ? resource.blob : Buffer.from(clean).toString('base64') };
}

const resource = (result: ResourceResult, on: ValueRedactor): ResourceResult => {
  const all = result.contents.map((one) => contents(one, on));
  const joined = on.neighbours(all.flatMap((one) => ('text' in one ? [one.text] : [])));
  let at = 0;
  return { ...result, contents: all.map((one) => ('text' in one ? { ...one, text: joined[at++]! } : one)) };
};

const prompt = (result: PromptResult, on: ValueRedactor): PromptResult => {
  const content = blocks(result.messages.map((message) => message.content), on, (text) => on.textual(text));
  return { ...result, ...(result.description === undefined ? {} : { description: on.text(result.description) }), messages: result.messages.map((message, at) => ({ ...message, content: content[at]! })) };
};

/** The call as its backend may see it, where requests are redacted too. Throws where the redactor cannot. */
export function redactedRequest<C extends ValidatedCall>(redactor: Redactor, call: C): C {
  if (!redactor.redactArguments) throw new TypeError('this redactor does not redact arguments');
  const { value, replaced } = redactor.redactArguments(call.input, call.target);
  return replaced === 0 ? call : { ...call, input: value as C['input'] };
}
