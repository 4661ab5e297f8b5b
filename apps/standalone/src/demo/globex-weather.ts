import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DemoRefusal, DemoState, jsonBody, startDemoServer, type DemoRequest, type DemoRoutes, type DemoServer } from './demo-server.js';

interface Observation { at: string; celsius: number; windKmh: number }
interface Station { id: string; name: string; latitude: number; longitude: number; notes: string; observations: Observation[]; reports: { id: number; title: string; fileName: string; bytes: number; sha256: string }[] }
interface Network { stations: Station[] }

/** Observations kept per station. */
const KEPT = 1000;

const seed = (): Network => ({
  stations: [
    { id: 'oslo', name: 'Oslo Blindern', latitude: 59.94, longitude: 10.72, notes: '', reports: [], observations: [{ at: '2026-01-05T12:00:00Z', celsius: -4.5, windKmh: 11 }, { at: '2026-01-06T12:00:00Z', celsius: -6, windKmh: 7 }] },
    { id: 'nairobi', name: 'Nairobi Wilson', latitude: -1.32, longitude: 36.81, notes: '', reports: [], observations: [{ at: '2026-01-05T12:00:00Z', celsius: 24, windKmh: 14 }] },
    { id: 'lima', name: 'Lima Callao', latitude: -12.02, longitude: -77.11, notes: '', reports: [], observations: [] },
  ],
});

/** Tenant globex's demo API: weather stations and their observations, described by `globex-weather.yaml`. */
export async function startWeather(file: string): Promise<DemoServer> {
  const state = DemoState.open(file, seed);
  const document = readFileSync(new URL('globex-weather.yaml', import.meta.url));
  const server = await startDemoServer(weatherRoutes(state), document, state.port);
  state.port = server.port;
  state.save();
  return server;
}

function weatherRoutes(state: DemoState<Network>): DemoRoutes {
  const { stations } = state.value;
  const station = ({ params }: DemoRequest): Station => stations.find(({ id }) => id === params['stationId']) ?? refuse(404, `There is no station ${params['stationId']}`);

  return {
    'GET /stations': ({ query }) => {
      const ids = query.get('ids')?.split('|');
      return { status: 200, json: stations.filter(({ id }) => ids === undefined || ids.includes(id)).map(shown) };
    },
    'GET /stations/near/{position}': ({ params }) => {
      const [latitude = Number.NaN, longitude = Number.NaN] = (params['position'] ?? '').split(',').map(Number);
      if (Number.isNaN(latitude) || Number.isNaN(longitude)) throw new DemoRefusal(400, 'position is latitude,longitude');
      const nearest = stations.toSorted((a, b) => distanceKm(a, { latitude, longitude }) - distanceKm(b, { latitude, longitude }))[0];
      if (!nearest) throw new DemoRefusal(404, 'There are no stations');
      return { status: 200, json: { ...shown(nearest), distanceKm: Math.round(distanceKm(nearest, { latitude, longitude })) } };
    },
    'GET /stations/{stationId}': (request) => ({ status: 200, json: shown(station(request)) }),
    'PUT /stations/{stationId}/notes': (request) => {
      const found = station(request);
      found.notes = request.body.toString('utf8');
      state.save();
      return { status: 204 };
    },
    'GET /stations/{stationId}/notes': (request) => ({ status: 200, type: 'text/plain; charset=utf-8', bytes: Buffer.from(station(request).notes) }),
    'GET /stations/{stationId}/observations': (request) => {
      const since = request.query.get('since') ?? '';
      const inFahrenheit = request.headers['x-units'] === 'imperial';
      const seen = station(request).observations.filter(({ at }) => at >= since).map((o) => ({ at: o.at, temperature: inFahrenheit ? o.celsius * 1.8 + 32 : o.celsius, windKmh: o.windKmh }));
      return { status: 200, json: { unit: inFahrenheit ? 'F' : 'C', observations: seen } };
    },
    'POST /stations/{stationId}/observations': (request) => {
      const found = station(request);
      const { at, celsius, windKmh } = jsonBody(request);
      if (typeof celsius !== 'number' || typeof windKmh !== 'number') throw new DemoRefusal(400, 'An observation needs celsius and windKmh');
      const made = { at: typeof at === 'string' ? at : new Date().toISOString(), celsius, windKmh };
      found.observations = [...found.observations, made].slice(-KEPT);
      state.save();
      return { status: 201, json: made };
    },
    'GET /stations/{stationId}/forecast': (request) => {
      const recent = station(request).observations.slice(-5);
      if (recent.length === 0) throw new DemoRefusal(409, 'No observations to forecast from; add one first');
      const days = Number(request.query.get('days') ?? 3);
      const mean = recent.reduce((sum, { celsius }) => sum + celsius, 0) / recent.length;
      const slope = recent.length < 2 ? 0 : ((recent.at(-1)?.celsius ?? 0) - (recent[0]?.celsius ?? 0)) / (recent.length - 1);
      return { status: 200, json: Array.from({ length: days }, (_, day) => ({ day: day + 1, celsius: Math.round((mean + slope * (day + 1)) * 10) / 10 })) };
    },
    'POST /stations/{stationId}/reports': async (request) => {
      const found = station(request);
      const form = await new Response(request.body, { headers: { 'content-type': request.headers['content-type'] ?? '' } }).formData().catch(() => refuse(400, 'Send multipart/form-data'));
      const title = form.get('title');
      const file = form.get('attachment');
      if (typeof title !== 'string' || !(file instanceof File)) throw new DemoRefusal(400, 'A report needs title and attachment');
      const bytes = Buffer.from(await file.arrayBuffer());
      const made = { id: found.reports.length + 1, title, fileName: file.name, bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
      found.reports.push(made);
      state.save();
      return { status: 201, json: made };
    },
    'GET /stations/{stationId}/reports': (request) => ({ status: 200, json: station(request).reports }),
  };
}

const shown = ({ id, name, latitude, longitude, notes, observations }: Station): object => ({ id, name, latitude, longitude, notes, latest: observations.at(-1) ?? null });

interface Position { readonly latitude: number; readonly longitude: number }
const radians = (degrees: number): number => (degrees * Math.PI) / 180;
/** Great-circle distance by the haversine formula. */
function distanceKm(from: Position, to: Position): number {
  const a = Math.sin(radians(to.latitude - from.latitude) / 2) ** 2
    + Math.cos(radians(from.latitude)) * Math.cos(radians(to.latitude)) * Math.sin(radians(to.longitude - from.longitude) / 2) ** 2;
  return 2 * 6371 * Math.asin(Math.min(1, Math.sqrt(a)));
}
function refuse(status: number, message: string): never { throw new DemoRefusal(status, message); }
