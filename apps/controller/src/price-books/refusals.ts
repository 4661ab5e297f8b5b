import { PriceBookRefused } from '#libs/ledger/read-price-book.js';
import { Problem } from '../http/problem.js';

/** What a price book is refused for, issue by issue at its place below `at`. */
export async function refusals<T>(work: Promise<T>, at: readonly string[]): Promise<T> {
  try {
    return await work;
  } catch (failure) {
    if (failure instanceof PriceBookRefused) throw new Problem(422, failure.issues.map(({ path, message }) => ({ loc: [...at, ...path], msg: message, type: 'price_book_refused' })));
    throw failure;
  }
}
