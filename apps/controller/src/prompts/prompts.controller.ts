import { Body, Delete, Get, HttpCode, Inject, Param, Post, Put, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import type { ControlStore, PromptRecord } from '#libs/core/control-store.js';
import type { TenantSlug } from '#libs/core/tenant.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { McpNameField, TenantSlugField } from '../http/fields.js';
import { invalid, notFound, Problem } from '../http/problem.js';
import { ProblemAnswer } from '../http/problem-schema.js';
import { TenantLock } from '../http/tenant-lock.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { checkPlaceholders } from './placeholders.js';
import { PromptAnswer, promptAnswer, PromptBody, PromptList, promptRecord, PromptReplacement } from './prompt-schemas.js';

const TENANT = { schema: TenantSlugField };
const PROMPT = { schema: McpNameField };

@AdminController('tenants/:tenant/prompts', 'prompts')
export class PromptsController {
  readonly #store: ControlStore;

  constructor(@Inject(PARTS) parts: ControllerParts, @Inject(TenantLock) private readonly locks: TenantLock) {
    this.#store = parts.store;
  }

  @Get()
  @Describe('List the prompts', { 200: PromptList })
  async listPrompts(@Param('tenant', TENANT) tenant: TenantSlug): Promise<{ prompts: PromptAnswer[] }> {
    return { prompts: (await this.#store.listPrompts(tenant)).map(answer) };
  }

  @Post()
  @Describe('Create a prompt', { 201: PromptAnswer, 409: ProblemAnswer })
  async createPrompt(@Param('tenant', TENANT) tenant: TenantSlug, @Body({ schema: PromptBody }) body: PromptBody): Promise<PromptAnswer> {
    const prompt = promptRecord(body);
    const checked = verified(prompt);
    await this.locks.run(tenant, async () => {
      if ((await this.#store.listPrompts(tenant)).some(({ name }) => name === prompt.name)) throw new Problem(409, `prompt ${prompt.name} already exists`);
      await this.#store.putPrompt(tenant, prompt);
    });
    return checked;
  }

  @Get(':prompt')
  @Describe('Show a prompt', { 200: PromptAnswer })
  async getPrompt(@Param('tenant', TENANT) tenant: TenantSlug, @Param('prompt', PROMPT) name: string): Promise<PromptAnswer> {
    const prompt = (await this.#store.listPrompts(tenant)).find((one) => one.name === name);
    if (prompt === undefined) throw notFound('Prompt', name);
    return answer(prompt);
  }

  @Put(':prompt')
  @Describe('Create a prompt, or replace it whole', { 200: PromptAnswer, 201: PromptAnswer })
  async putPrompt(
    @Param('tenant', TENANT) tenant: TenantSlug, @Param('prompt', PROMPT) name: string, @Body({ schema: PromptReplacement }) body: PromptReplacement, @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PromptAnswer> {
    if (body.name !== undefined && body.name !== name) throw invalid(['body', 'name'], `differs from the address: a prompt's name does not change; delete ${name} and create ${body.name}`);
    const prompt = promptRecord({ ...body, name });
    const checked = verified(prompt);
    const { created } = await this.locks.run(tenant, () => this.#store.putPrompt(tenant, prompt));
    void reply.status(created ? 201 : 200);
    return checked;
  }

  @Delete(':prompt')
  @HttpCode(204)
  @Describe('Delete a prompt', { 204: undefined })
  async deletePrompt(@Param('tenant', TENANT) tenant: TenantSlug, @Param('prompt', PROMPT) name: string): Promise<void> {
    await this.locks.run(tenant, () => this.#store.deletePrompt(tenant, name));
  }
}

const answer = (prompt: PromptRecord): PromptAnswer => promptAnswer(prompt, checkPlaceholders(prompt.messages, prompt.arguments).unused);

function verified(prompt: PromptRecord): PromptAnswer {
  const { faults, unused } = checkPlaceholders(prompt.messages, prompt.arguments);
  if (faults.length > 0) {
    throw new Problem(422, faults.slice(0, 20).map(({ message, placeholder, name }) => ({ loc: ['body', 'messages', message, 'text'], msg: `${placeholder} stands for an argument that is not declared: add ${JSON.stringify(name)} to \`arguments\``, type: 'undeclared_argument' })));
  }
  return promptAnswer(prompt, unused);
}
