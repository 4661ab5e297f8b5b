import type { ValidatedCall } from '#libs/core/call.js';
import type { JsonSchemaObject } from '#libs/core/json-schema.js';
import type { CallResult, ContentBlock, InputRequired } from '#libs/core/result.js';
import type { Target } from '#libs/core/target.js';

/** What the conformance suite asks a server to expose, as built-in targets of the gateway. */
export interface Fixture { readonly target: Target; readonly answer: (call: ValidatedCall, world: FixtureWorld) => CallResult | Promise<CallResult> }
/** What a fixture may do to the server around it. */
export interface FixtureWorld { changed(kind: 'tool' | 'prompt'): void }

/** A red pixel and an empty sound. */
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
const SILENCE = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA=';

const NO_ARGUMENTS: JsonSchemaObject = { type: 'object', properties: {}, additionalProperties: false };
const texts = (...names: string[]): JsonSchemaObject => ({ type: 'object', properties: Object.fromEntries(names.map((name) => [name, { type: 'string', description: name }])), required: names, additionalProperties: false });
const pause = (): Promise<void> => new Promise((done) => { setTimeout(done, 20); });
const said = (...content: ContentBlock[]): CallResult => ({ type: 'tool', content, isError: false });
const text = (value: string): ContentBlock => ({ type: 'text', text: value });

/** A binding of its own kind, which no product backend answers. */
const fixture = (handler: string): Target['backend'] => ({ kind: 'fixture', handler }) as unknown as Target['backend'];

const common = { tenant: undefined, apiId: undefined, operationClass: 'read', tags: ['conformance'], category: undefined, version: '1', definitions: {}, timeoutMs: 30_000 } as const;
function tool(name: string, answer: Fixture['answer'], inputSchema: JsonSchemaObject = NO_ARGUMENTS): Fixture {
  const description = `Conformance fixture ${name}`;
  return { answer, target: { ...common, kind: 'tool', name, description, inputSchema, backend: fixture(name), hash: name, listed: JSON.stringify({ name, description, inputSchema }) } };
}
function prompt(name: string, names: readonly string[], answer: Fixture['answer']): Fixture {
  const description = `Conformance fixture ${name}`;
  const inputSchema = texts(...names);
  return { answer, target: { ...common, kind: 'prompt', name, description, inputSchema, backend: fixture(name), hash: name, listed: JSON.stringify({ name, description, arguments: names.map((argument) => ({ name: argument, description: argument, required: true })) }) } };
}
function resource(uri: string, name: string, mimeType: string, answer: Fixture['answer']): Fixture {
  const description = `Conformance fixture ${name}`;
  const where = uri.includes('{') ? { uriTemplate: uri } : { uri };
  const inputSchema = texts(...[...uri.matchAll(/\{(\w+)\}/g)].map(([, variable]) => variable ?? ''));
  return { answer, target: { ...common, kind: 'resource', name: uri, description, inputSchema, backend: fixture(uri), hash: uri, listed: JSON.stringify({ ...where, name, description, mimeType }) } };
}

/** Legacy eras: ask the client on the call's own stream. */
async function ask(call: ValidatedCall, method: string, params: unknown): Promise<Record<string, unknown>> {
  if (!call.exchange.request) throw new Error(`The client cannot be asked for ${method}.`);
  return (await call.exchange.request(method, params)) as Record<string, unknown>;
}
const elicited = async (call: ValidatedCall, message: string, requestedSchema: object, prefix: string): Promise<CallResult> => {
  const answer = await ask(call, 'elicitation/create', { message, requestedSchema });
  return said(text(`${prefix}: action=${String(answer['action'])}, content=${JSON.stringify(answer['content'] ?? {})}`));
};

const form = (message: string, properties: object, ...required: string[]): object => ({ method: 'elicitation/create', params: { message, requestedSchema: { type: 'object', properties, required } } });
const sample = (question: string, maxTokens: number): object => ({ method: 'sampling/createMessage', params: { messages: [{ role: 'user', content: { type: 'text', text: question } }], maxTokens } });
const needs = (inputRequests: Record<string, object>, requestState?: string): InputRequired => ({ type: 'input_required', inputRequests, ...(requestState === undefined ? {} : { requestState }) });
const given = (call: ValidatedCall, key: string): Record<string, unknown> | undefined => call.exchange.inputResponses?.[key] as Record<string, unknown> | undefined;

const TOOLS: readonly Fixture[] = [
  tool('test_simple_text', () => said(text('This is a simple text response for testing.'))),
  tool('test_image_content', () => said({ type: 'image', data: PIXEL, mimeType: 'image/png' })),
  tool('test_audio_content', () => said({ type: 'audio', data: SILENCE, mimeType: 'audio/wav' })),
  tool('test_embedded_resource', () => said({ type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'This is an embedded resource content.' } })),
  tool('test_multiple_content_types', () => said(text('Multiple content types test:'), { type: 'image', data: PIXEL, mimeType: 'image/png' },
    { type: 'resource', resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data","value":123}' } })),
  tool('test_error_handling', () => ({ type: 'tool', content: [text('This tool intentionally returns an error for testing')], isError: true })),
  tool('test_tool_with_progress', async (call) => {
    for (const progress of [0, 50, 100]) { call.exchange.progress?.(progress, 100, `Completed step ${progress} of 100`); await pause(); }
    return said(text('Progress told.'));
  }),
  tool('test_tool_with_logging', async (call) => {
    for (const step of ['started', 'processing data', 'completed']) { call.exchange.log?.('info', `Tool execution ${step}`); await pause(); }
    return said(text('Tool with logging executed successfully'));
  }),
  tool('test_logging_tool', (call) => { call.exchange.log?.('info', 'A log message'); return said(text('Logged, if asked to.')); }),
  tool('test_reconnection', async () => { await pause(); return said(text('Answered on the same stream.')); }),
  tool('test_sampling', async (call) => {
    const answer = await ask(call, 'sampling/createMessage', { messages: [{ role: 'user', content: { type: 'text', text: call.input['prompt'] } }], maxTokens: 100 });
    return said(text(`LLM response: ${String((answer['content'] as { text?: string } | undefined)?.text)}`));
  }, texts('prompt')),
  tool('test_elicitation', (call) => elicited(call, String(call.input['message']), { type: 'object', properties: { response: { type: 'string', description: "User's response" } }, required: ['response'] }, 'User response'), texts('message')),
  tool('test_elicitation_sep1034_defaults', (call) => elicited(call, 'Please review the defaults', { type: 'object', required: [], properties: {
    name: { type: 'string', description: 'User name', default: 'John Doe' }, age: { type: 'integer', description: 'User age', default: 30 }, score: { type: 'number', description: 'User score', default: 95.5 },
    status: { type: 'string', description: 'User status', enum: ['active', 'inactive', 'pending'], default: 'active' }, verified: { type: 'boolean', description: 'Verification status', default: true },
  } }, 'Elicitation completed')),
  tool('test_elicitation_sep1330_enums', (call) => elicited(call, 'Please select options', { type: 'object', required: [], properties: {
    untitledSingle: { type: 'string', description: 'One option', enum: ['option1', 'option2', 'option3'] },
    titledSingle: { type: 'string', description: 'One titled option', oneOf: [{ const: 'value1', title: 'First Option' }, { const: 'value2', title: 'Second Option' }, { const: 'value3', title: 'Third Option' }] },
    legacyEnum: { type: 'string', description: 'One option (legacy)', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['Option One', 'Option Two', 'Option Three'] },
    untitledMulti: { type: 'array', description: 'Several options', minItems: 1, maxItems: 3, items: { type: 'string', enum: ['option1', 'option2', 'option3'] } },
    titledMulti: { type: 'array', description: 'Several titled options', minItems: 1, maxItems: 3, items: { anyOf: [{ const: 'value1', title: 'First Choice' }, { const: 'value2', title: 'Second Choice' }, { const: 'value3', title: 'Third Choice' }] } },
  } }, 'Elicitation completed')),
  tool('test_missing_capability', (call) => (given(call, 'question') ? said(text('Sampled.')) : needs({ question: sample('Anything?', 10) }))),
  tool('test_streaming_elicitation', (call) => (given(call, 'user_name') ? said(text('Thank you.')) : needs({ user_name: form('What is your name?', { name: { type: 'string' } }, 'name') }))),
  tool('test_trigger_tool_change', (_call, world) => { world.changed('tool'); return said(text('The tool list changed.')); }),
  tool('test_trigger_prompt_change', (_call, world) => { world.changed('prompt'); return said(text('The prompt list changed.')); }),
  tool('test_x_mcp_header', (call) => said(text(`Region: ${String(call.input['region'])}`)), { type: 'object', additionalProperties: false, properties: {
    region: { type: 'string', description: 'Region', 'x-mcp-header': 'Region' }, priority: { type: 'integer', description: 'Priority', 'x-mcp-header': 'Priority' },
    verbose: { type: 'boolean', description: 'Verbose', 'x-mcp-header': 'Verbose' }, query: { type: 'string', description: 'Query' } } }),
  tool('json_schema_2020_12_tool', (call) => said(text(`JSON Schema 2020-12 tool called with: ${JSON.stringify(call.input)}`)), {
    $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object',
    $defs: { address: { $anchor: 'addressDef', type: 'object', properties: { street: { type: 'string' }, city: { type: 'string' } } } },
    properties: { name: { type: 'string' }, address: { $ref: '#/$defs/address' }, contactMethod: { type: 'string', enum: ['phone', 'email'] }, phone: { type: 'string' }, email: { type: 'string' } },
    allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
    ...JSON.parse('{"if":{"properties":{"contactMethod":{"const":"phone"}},"required":["contactMethod"]},"then":{"required":["phone"]},"else":{"required":["email"]}}') as JsonSchemaObject, additionalProperties: false }),
  tool('test_input_required_result_elicitation', (call) => {
    const name = (given(call, 'user_name')?.['content'] as { name?: unknown } | undefined)?.name;
    return typeof name === 'string' ? said(text(`Hello, ${name}!`)) : needs({ user_name: form('What is your name?', { name: { type: 'string' } }, 'name') });
  }),
  tool('test_input_required_result_sampling', (call) => {
    const answer = given(call, 'capital_question');
    return answer ? said(text(String((answer['content'] as { text?: string }).text))) : needs({ capital_question: sample('What is the capital of France?', 100) });
  }),
  tool('test_input_required_result_list_roots', (call) => {
    const roots = given(call, 'client_roots')?.['roots'];
    return roots ? said(text(`Roots: ${JSON.stringify(roots)}`)) : needs({ client_roots: { method: 'roots/list', params: {} } });
  }),
  ...['test_input_required_result_request_state', 'test_input_required_result_tampered_state'].map((name) => tool(name, (call) =>
    call.exchange.requestState === 'round-1' && given(call, 'confirm') ? said(text('state-ok')) : needs({ confirm: form('Please confirm', { ok: { type: 'boolean' } }, 'ok') }, 'round-1'))),
  tool('test_input_required_result_multiple_inputs', (call) => (['user_name', 'greeting', 'client_roots'].every((key) => given(call, key)) && call.exchange.requestState === 'all'
    ? said(text('All inputs came.'))
    : needs({ user_name: form('What is your name?', { name: { type: 'string' } }, 'name'), greeting: sample('Generate a greeting', 50), client_roots: { method: 'roots/list', params: {} } }, 'all'))),
  tool('test_input_required_result_multi_round', (call) => {
    if (call.exchange.requestState === 'step-2' && given(call, 'step2')) return said(text('Both steps are done.'));
    if (call.exchange.requestState === 'step-1' && given(call, 'step1')) return needs({ step2: form('Step 2: What is your favorite color?', { color: { type: 'string' } }, 'color') }, 'step-2');
    return needs({ step1: form('Step 1: What is your name?', { name: { type: 'string' } }, 'name') }, 'step-1');
  }),
  tool('test_input_required_result_capabilities', (call) => {
    const can = call.exchange.clientCapabilities;
    return needs({ ...(can['sampling'] ? { question: sample('Anything?', 10) } : {}), ...(can['elicitation'] ? { user_name: form('What is your name?', { name: { type: 'string' } }, 'name') } : {}) });
  }),
];

const answered = (...contents: ContentBlock[]): CallResult => ({ type: 'prompt', messages: contents.map((content) => ({ role: 'user' as const, content })) });
const PROMPTS: readonly Fixture[] = [
  prompt('test_simple_prompt', [], () => answered(text('This is a simple prompt for testing.'))),
  prompt('test_prompt_with_arguments', ['arg1', 'arg2'], (call) => answered(text(`Prompt with arguments: arg1='${String(call.input['arg1'])}', arg2='${String(call.input['arg2'])}'`))),
  prompt('test_prompt_with_embedded_resource', ['resourceUri'], (call) => answered({ type: 'resource', resource: { uri: String(call.input['resourceUri']), mimeType: 'text/plain', text: 'Embedded resource content for testing.' } }, text('Please process the embedded resource above.'))),
  prompt('test_prompt_with_image', [], () => answered({ type: 'image', data: PIXEL, mimeType: 'image/png' }, text('Please analyze the image above.'))),
  prompt('test_input_required_result_prompt', [], (call) => (given(call, 'user_context')
    ? answered(text('With the context that was given.'))
    : needs({ user_context: form('What context should the prompt use?', { context: { type: 'string' } }, 'context') }))),
];

const RESOURCES: readonly Fixture[] = [
  resource('test://static-text', 'static-text', 'text/plain', (call) => ({ type: 'resource', contents: [{ uri: call.name, mimeType: 'text/plain', text: 'This is the content of the static text resource.' }] })),
  resource('test://static-binary', 'static-binary', 'image/png', (call) => ({ type: 'resource', contents: [{ uri: call.name, mimeType: 'image/png', blob: PIXEL }] })),
  resource('test://watched-resource', 'watched-resource', 'text/plain', (call) => ({ type: 'resource', contents: [{ uri: call.name, mimeType: 'text/plain', text: 'Watched resource content' }] })),
  resource('test://template/{id}/data', 'template', 'application/json', (call) => {
    const id = String(call.input['id']);
    return { type: 'resource', contents: [{ uri: call.name, mimeType: 'application/json', text: JSON.stringify({ id, templateTest: true, data: `Data for ID: ${id}` }) }] };
  }),
];

export const FIXTURES: readonly Fixture[] = [...TOOLS, ...PROMPTS, ...RESOURCES];
