import { Body, Get, Inject, Optional, Post, Query, Req } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { TenantSlug } from '#libs/core/tenant.js';
import { PRICE_OFFICE } from '#libs/core/tokens.js';
import type { PriceBookRecord, PriceOffice } from '#libs/core/usage-ledger.js';
import { isPlatformAdmin } from '../http/access.js';
import { AdminController, Describe } from '../http/admin-controller.js';
import { TenantSlugField } from '../http/fields.js';
import { Problem } from '../http/problem.js';
import { principalOf } from '../http/request.js';
import { type ControllerParts, PARTS } from '../parts.js';
import { billedTenant } from '../usage/billed-tenant.js';
import { refusals } from './refusals.js';

const BookAnswer = z.object({ name: z.string(), version: z.int(), hash: z.string(), tenant: z.string().nullable(), validFrom: z.string(), createdBy: z.string(), content: z.unknown() }).meta({ id: 'PriceBook' });
const BookList = z.object({ priceBooks: z.array(BookAnswer) }).meta({ id: 'PriceBookList' });
const TenantQuery = z.strictObject({ tenant: TenantSlugField.optional().meta({ description: 'Whose; without it a platform administrator\'s book is everybody\'s.' }) });
const BookBody = z.record(z.string(), z.unknown()).meta({ id: 'PriceBookBody', description: 'A price book as docs/billing.md describes it. Prices are decimal text.' });

/** Price books: immutable, versioned, chosen by the time of the call. */
@AdminController('price-books', 'billing')
export class PriceBooksController {
  constructor(@Inject(PARTS) private readonly parts: Pick<ControllerParts, 'store'>, @Optional() @Inject(PRICE_OFFICE) private readonly given?: PriceOffice) {}

  @Get()
  @Describe('List the price books and their versions', { 200: BookList })
  async listPriceBooks(@Query({ schema: TenantQuery }) { tenant }: { tenant?: string }, @Req() request: FastifyRequest): Promise<object> {
    return { priceBooks: (await this.#office.listBooks(this.#scope(tenant, request))).map(shown) };
  }

  @Post()
  @Describe('Put a price book in force: the next version of its name', { 201: BookAnswer })
  async putPriceBook(@Query({ schema: TenantQuery }) { tenant }: { tenant?: string }, @Body({ schema: BookBody }) content: Record<string, unknown>, @Req() request: FastifyRequest): Promise<object> {
    const scope = this.#scope(tenant, request);
    const about = { tenant: scope, createdBy: principalOf(request)?.subject ?? '', knownTools: await this.#knownTools(scope) };
    return shown(await refusals(this.#office.putBook(content, about), ['body']));
  }

  get #office(): PriceOffice {
    if (!this.given) throw new Problem(404, 'Billing is not enabled here');
    return this.given;
  }
  #scope(tenant: string | undefined, request: FastifyRequest): TenantSlug | undefined {
    const principal = principalOf(request);
    return tenant === undefined && principal !== undefined && isPlatformAdmin(principal) ? undefined : billedTenant(principal, tenant);
  }
  async #knownTools(tenant: TenantSlug | undefined): Promise<ReadonlySet<string>> {
    const { store } = this.parts;
    const tenants = tenant === undefined ? (await store.listTenants()).map(({ slug }) => slug) : [tenant];
    const names = await Promise.all(tenants.map(async (slug) => (await store.listTools(slug)).map(({ name }) => name)));
    return new Set(names.flat());
  }
}
const shown = (book: PriceBookRecord): object => ({ ...book, tenant: book.tenant ?? null });
