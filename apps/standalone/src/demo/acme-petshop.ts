import { readFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { DemoRefusal, DemoState, jsonBody, startDemoServer, type DemoRequest, type DemoRoutes, type DemoServer } from './demo-server.js';

interface Pet { id: number; name: string; species: 'cat' | 'dog' | 'fish' | 'parrot'; status: 'available' | 'reserved' | 'sold'; tags: string[]; priceCents: number; photo: { mediaType: string; base64: string } | null }
interface Order { id: number; petId: number; customer: string; placedAt: string; status: 'placed' | 'cancelled'; idempotencyKey: string | null; feedback: { rating: number; comment: string } | null }
interface Shop { nextPet: number; nextOrder: number; pets: Pet[]; orders: Order[] }

const SPECIES = ['cat', 'dog', 'fish', 'parrot'] as const;
const STATUSES = ['available', 'reserved', 'sold'] as const;
const RATES: Readonly<Record<string, number>> = { EUR: 1, USD: 1.1, JPY: 160 };

const seed = (): Shop => ({
  nextPet: 5, nextOrder: 1, orders: [],
  pets: [
    { id: 1, name: 'Rex', species: 'dog', status: 'available', tags: ['calm', 'large'], priceCents: 25_000, photo: null },
    { id: 2, name: 'Mina', species: 'cat', status: 'available', tags: ['calm', 'indoor'], priceCents: 12_000, photo: null },
    { id: 3, name: 'Bubbles', species: 'fish', status: 'available', tags: ['small'], priceCents: 900, photo: null },
    { id: 4, name: 'Kiwi', species: 'parrot', status: 'sold', tags: ['loud', 'small'], priceCents: 30_000, photo: null },
  ],
});

/** Tenant acme's demo API: a pet shop with pets, orders and photos, described by `acme-petshop.yaml`. On loopback and the port that `file` remembers, or where `at` says. */
export async function startPetshop(file: string, at?: { readonly host: string; readonly port: number }): Promise<DemoServer> {
  const state = DemoState.open(file, seed);
  const document = readFileSync(new URL('acme-petshop.yaml', import.meta.url));
  const server = await startDemoServer(petshopRoutes(state), document, at?.port ?? state.port, at?.host);
  state.port = server.port;
  state.save();
  return server;
}

function petshopRoutes(state: DemoState<Shop>): DemoRoutes {
  const shop = state.value;
  const pet = ({ params }: DemoRequest): Pet => shop.pets.find(({ id }) => String(id) === params['petId']) ?? refuse(404, `There is no pet ${params['petId']}`);
  const order = ({ params }: DemoRequest): Order => shop.orders.find(({ id }) => String(id) === params['orderId']) ?? refuse(404, `There is no order ${params['orderId']}`);

  return {
    'GET /pets': ({ query }) => {
      const statuses = query.get('status')?.split(',') ?? [];
      const tags = query.getAll('tag');
      const from = Number(query.get('price[from]') ?? 0);
      const to = Number(query.get('price[to]') ?? Infinity);
      const text = query.get('search')?.toLowerCase() ?? '';
      const found = shop.pets.filter((p) => (statuses.length === 0 || statuses.includes(p.status)) && tags.every((tag) => p.tags.includes(tag))
        && p.priceCents >= from && p.priceCents <= to && p.name.toLowerCase().includes(text));
      const limit = Number(query.get('limit') ?? 20);
      return { status: 200, json: { total: found.length, pets: found.slice(0, limit).map(shown) } };
    },
    'POST /pets': (request) => {
      const fields = petFields(jsonBody(request), true);
      const made: Pet = { id: shop.nextPet++, status: 'available', tags: [], photo: null, name: '', species: 'cat', priceCents: 0, ...fields };
      shop.pets.push(made);
      state.save();
      return { status: 201, json: shown(made) };
    },
    'GET /pets/{petId}': (request) => ({ status: 200, json: shown(pet(request)) }),
    'PATCH /pets/{petId}': (request) => {
      const found = pet(request);
      Object.assign(found, petFields(jsonBody(request), false));
      state.save();
      return { status: 200, json: shown(found) };
    },
    'DELETE /pets/{petId}': (request) => {
      const found = pet(request);
      if (found.status === 'reserved') throw new DemoRefusal(409, `${found.name} is reserved by an order; cancel it first`);
      shop.pets.splice(shop.pets.indexOf(found), 1);
      state.save();
      return { status: 204 };
    },
    'PUT /pets/{petId}/photo': (request) => {
      const found = pet(request);
      if (request.body.length === 0) throw new DemoRefusal(400, 'The photo is empty');
      found.photo = { mediaType: 'image/png', base64: request.body.toString('base64') };
      state.save();
      return { status: 200, json: { bytes: request.body.length, sha256: createHash('sha256').update(request.body).digest('hex') } };
    },
    'GET /pets/{petId}/photo': (request) => {
      const { photo, name } = pet(request);
      if (!photo) throw new DemoRefusal(404, `${name} has no photo`);
      return { status: 200, type: photo.mediaType, bytes: Buffer.from(photo.base64, 'base64') };
    },
    'POST /orders': (request) => {
      const header = request.headers['idempotency-key'];
      const key = typeof header === 'string' ? header : null;
      const earlier = key === null ? undefined : shop.orders.find(({ idempotencyKey }) => idempotencyKey === key);
      if (earlier) return { status: 201, json: placed(earlier) };
      const { petId, customer } = jsonBody(request);
      if (typeof petId !== 'number' || typeof customer !== 'string' || customer === '') throw new DemoRefusal(400, 'An order needs petId and customer');
      const wanted = shop.pets.find(({ id }) => id === petId) ?? refuse(404, `There is no pet ${petId}`);
      if (wanted.status !== 'available') throw new DemoRefusal(409, `${wanted.name} is ${wanted.status}`);
      const made: Order = { id: shop.nextOrder++, petId, customer, placedAt: new Date().toISOString(), status: 'placed', idempotencyKey: key, feedback: null };
      wanted.status = 'reserved';
      shop.orders.push(made);
      state.save();
      return { status: 201, json: placed(made) };
    },
    'GET /orders': ({ cookies }) => {
      const currency = cookies.get('currency') ?? 'EUR';
      const rate = RATES[currency] ?? refuse(400, `Unknown currency ${currency}`);
      const price = ({ petId }: Order): number => Math.round((shop.pets.find(({ id }) => id === petId)?.priceCents ?? 0) * rate);
      return { status: 200, json: { currency, orders: shop.orders.map((o) => ({ ...placed(o), priceCents: price(o) })) } };
    },
    'GET /orders/{orderId}': (request) => ({ status: 200, json: placed(order(request)) }),
    'DELETE /orders/{orderId}': (request) => {
      const found = order(request);
      if (found.status === 'cancelled') throw new DemoRefusal(409, `Order ${found.id} is cancelled already`);
      found.status = 'cancelled';
      const freed = shop.pets.find(({ id }) => id === found.petId);
      if (freed) freed.status = 'available';
      state.save();
      return { status: 200, json: placed(found) };
    },
    'POST /orders/{orderId}/feedback': (request) => {
      const found = order(request);
      const form = new URLSearchParams(request.body.toString('utf8'));
      const rating = Number(form.get('rating'));
      if (!Number.isInteger(rating) || rating < 1 || rating > 5) throw new DemoRefusal(400, 'rating is a whole number from 1 to 5');
      found.feedback = { rating, comment: form.get('comment') ?? '' };
      state.save();
      return { status: 200, json: placed(found) };
    },
    'GET /categories': () => ({
      status: 200,
      json: { name: 'animals', children: [{ name: 'mammals', children: [{ name: 'dog', children: [] }, { name: 'cat', children: [] }] }, { name: 'birds', children: [{ name: 'parrot', children: [] }] }, { name: 'fish', children: [] }] },
    }),
  };
}

const shown = ({ photo, ...rest }: Pet): object => ({ ...rest, hasPhoto: photo !== null });
const placed = ({ id, petId, customer, placedAt, status, feedback }: Order): object => ({ id, petId, customer, placedAt, status, feedback });

function petFields(body: Record<string, unknown>, whole: boolean): Partial<Pick<Pet, 'name' | 'species' | 'status' | 'tags' | 'priceCents'>> {
  const { name, species, status, tags, priceCents } = body;
  const wrong: string[] = [];
  if (name === undefined ? whole : typeof name !== 'string' || name === '') wrong.push('name');
  if (species === undefined ? whole : !SPECIES.some((known) => known === species)) wrong.push('species');
  if (priceCents === undefined ? whole : typeof priceCents !== 'number' || priceCents < 0) wrong.push('priceCents');
  if (status !== undefined && !STATUSES.some((known) => known === status)) wrong.push('status');
  if (tags !== undefined && !(Array.isArray(tags) && tags.every((tag) => typeof tag === 'string'))) wrong.push('tags');
  if (wrong.length > 0) throw new DemoRefusal(400, `Wrong or missing: ${wrong.join(', ')}`);
  return Object.fromEntries(Object.entries({ name, species, status, tags, priceCents }).filter(([, value]) => value !== undefined));
}
function refuse(status: number, message: string): never { throw new DemoRefusal(status, message); }
