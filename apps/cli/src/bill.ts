import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isNode, LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { billingClient, queryOf, table } from './billing-request.js';
import { type AdminClient, CommandError } from './client.js';
import type { Io } from './io.js';

export const BILL_HELP = `stoa bill --tenant TENANT --month 2026-11 [--plan BOOK.yaml] [--json]

The bill of a month, line by line, as the ledger stands; the rounding is named.
  --plan   a price book (YAML or JSON, docs/billing.md): what the month would have cost under it`;

const Line = z.object({ account: z.string(), line: z.string(), quantity: z.string(), exact: z.string(), amount: z.string(), carried: z.string() });
const Bill = z.object({ tenant: z.string(), month: z.string(), currency: z.string(), rounding: z.string(), simulated: z.boolean(), lines: z.array(Line), total: z.string(), ledger: z.string() });

export async function billCommand(args: readonly string[], io: Io): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { tenant: { type: 'string' }, month: { type: 'string' }, plan: { type: 'string' }, json: { type: 'boolean', default: false } } });
  const { tenant, month, plan } = values;
  if (tenant === undefined) throw new CommandError('--tenant is missing', 2);
  if (month === undefined) throw new CommandError('--month is missing, such as --month 2026-11', 2);
  const book = plan === undefined ? undefined : new BookFile(plan);
  const admin = await billingClient(io, tenant);
  const answer = await (book ? book.simulate(admin, { tenant, month }) : admin.call('GET', `/bills?${queryOf({ tenant, month })}`));
  if (values.json) { io.out(JSON.stringify(answer, undefined, 2)); return 0; }
  const { currency, rounding, simulated, lines, total, ledger } = Bill.parse(answer);
  io.out(`${simulated ? 'Simulated bill' : 'Bill'} of ${tenant} for ${month} in ${currency}`);
  const accounts = lines.some(({ account }) => account !== '');
  const shown = [['line', ...(accounts ? ['account'] : []), 'quantity', 'exact', 'amount', 'carried'], ...lines.map(({ line, account, quantity, exact, amount, carried }) => [line, ...(accounts ? [account] : []), quantity, exact, amount, carried])];
  for (const line of table(shown, 4)) io.out(line);
  io.out(`Total ${total} ${currency}   (in the ${simulated ? 'simulation' : 'ledger'}, without fees and minimums: ${ledger})`);
  io.out(`Rounding: ${rounding}`);
  return 0;
}

/** A price book as a file. Numbers stay texts, so that none passes through a double. */
class BookFile {
  readonly #content: unknown;
  readonly #lineOf: (path: readonly (string | number)[]) => number | undefined;
  constructor(private readonly file: string) {
    let text: string;
    try { text = readFileSync(file, 'utf8'); } catch (error) { throw new CommandError(`Cannot read ${file}: ${(error as Error).message}`, 2); }
    const counter = new LineCounter();
    const document = parseDocument(text, { schema: 'failsafe', lineCounter: counter, uniqueKeys: true });
    const [fault] = document.errors;
    if (fault) throw new CommandError(`${file} is not YAML: ${fault.message.split('\n', 1)[0] ?? ''}`, 2);
    this.#content = document.toJS();
    this.#lineOf = (path) => {
      for (let length = path.length; length > 0; length -= 1) {
        const node = document.getIn(path.slice(0, length), true);
        if (isNode(node) && node.range) return counter.linePos(node.range[0]).line;
      }
      return undefined;
    };
  }

  async simulate(admin: AdminClient, month: { readonly tenant: string; readonly month: string }): Promise<unknown> {
    try {
      return await admin.call('POST', '/bills/simulate', { ...month, priceBook: this.#content });
    } catch (error) {
      if (!(error instanceof CommandError)) throw error;
      // `body.priceBook.lines.1.price: …`: the place in the file is what its author needs.
      throw new CommandError(error.message.replaceAll(/body\.priceBook\.([\w.-]+): /g, (whole, path: string) => {
        const line = this.#lineOf(path.split('.').map((step) => (/^\d+$/.test(step) ? Number(step) : step)));
        return line === undefined ? whole : `${this.file}:${line}: `;
      }), error.exitCode);
    }
  }
}
