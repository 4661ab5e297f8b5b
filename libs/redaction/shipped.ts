import { ibanLength, isCard, isIban } from './numbers.js';
import type { Span } from './spans.js';
import { TRIGGER } from './trigger-scan.js';

/** Told of each find. */
export type Found = (start: number, end: number) => void;
export interface ShippedPattern {
  readonly name: string;
  /** Off unless it is named: it finds too much in ordinary data. */
  readonly optional?: boolean;
  /** Any of these in the text, or it is not asked. */
  readonly triggers: number;
  /** Linear in the text: each character is looked at a bounded number of times. */
  readonly find: (text: string, found: Found) => void;
}

const LOCAL = /[\p{L}\p{N}._%+'!#$&*^`{|}~-]/u;
const DOMAIN = /(?:[\p{L}\p{N}-]{1,63}\.){1,8}(?:\p{L}{2,24}|xn--[a-zA-Z0-9-]{2,40})/uy;

/** From each `@` at most 64 characters to the left (RFC 5321 §4.5.3.1.1), and a domain to the right. */
function findEmails(text: string, found: Found): void {
  let past = 0;
  for (let at = text.indexOf('@'); at !== -1; at = text.indexOf('@', at + 1)) {
    let start = at;
    while (start > past && at - start < 64 && LOCAL.test(text[start - 1]!)) start -= 1;
    if (start === at) continue;
    DOMAIN.lastIndex = at + 1;
    if (!DOMAIN.test(text)) continue;
    past = DOMAIN.lastIndex;
    found(start, past);
  }
}

// Spaces, dots, slashes and every kind of hyphen and dash.
const SEPARATOR = /[ \t./\u00a0\u2010-\u2015\u2212-]/;
const isDigit = (text: string, at: number): boolean => { const code = text.charCodeAt(at); return code >= 48 && code <= 57; };

/** Groups of digits with one separator between; a card is any of their consecutive ones that have 13 to 19 digits and pass. */
function findCards(text: string, found: Found): void {
  for (let at = 0; at < text.length; at += 1) {
    if (!isDigit(text, at)) continue;
    const groups: { readonly start: number; readonly end: number }[] = [];
    for (;;) {
      const start = at;
      while (at < text.length && isDigit(text, at)) at += 1;
      groups.push({ start, end: at });
      if (at + 1 < text.length && SEPARATOR.test(text[at]!) && isDigit(text, at + 1)) at += 1; else break;
    }
    for (let first = 0; first < groups.length; first += 1) {
      let digits = '';
      // What follows a point is a fraction, unless more groups follow it.
      if (groups[first]!.end - groups[first]!.start >= 13 && text[groups[first]!.start - 1] === '.' && isDigit(text, groups[first]!.start - 2)) continue;
      for (let last = first; last < groups.length && digits.length < 19; last += 1) {
        const { start, end } = groups[last]!;
        if (end - start > 19 - digits.length) break;
        digits += text.slice(start, end);
        if (digits.length < 13 || !isCard(digits)) continue;
        found(groups[first]!.start, end);
        first = last;
        break;
      }
    }
  }
}

const IBAN_START = /(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}/g;
function findIbans(text: string, found: Found): void {
  for (const { index, 0: head } of text.matchAll(IBAN_START)) {
    const length = ibanLength(head.slice(0, 2).toUpperCase());
    if (length === undefined) continue;
    let iban = '';
    let at = index;
    while (at < text.length && iban.length < length) {
      if (/[A-Za-z0-9]/.test(text[at]!)) iban += text[at]!; else if (!SEPARATOR.test(text[at]!) || SEPARATOR.test(text[at - 1]!)) break;
      at += 1;
    }
    if (iban.length === length && isIban(iban.toUpperCase())) found(index, at);
  }
}

/** SSA: no area 000, 666 or 9xx, no group 00, no serial 0000. */
const SSN = /(?<![\d-])(?!000|666|9)\d{3}([-\u2010-\u2015\u2212 .])(?!00)\d{2}\1(?!0000)\d{4}(?!\d)/g;
const PHONE = /(?<![\w.+-])(?:\+\d{1,3}[ .-]?)?(?:\(\d{2,4}\)[ .-]?)?\d{2,4}(?:[ .-]\d{2,4}){1,4}(?![\w-])|(?<![\w.+-])\+\d{8,15}(?!\w)/g;
const BEARER = /\bbearer[ \t]{1,8}([A-Za-z0-9._~+/-]{16,8192}={0,2})/gi;
/** The token alone: that there was one may be said. */
function findBearers(text: string, found: Found): void {
  for (const { index, 0: match, 1: token = '' } of text.matchAll(BEARER)) found(index + match.length - token.length, index + match.length);
}
const JWT = /(?<![A-Za-z0-9_-])eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*){0,3}/g;

/** Keys that say whose they are; each begins with letters that nothing else does. */
const KEYS = {
  'aws-key': 'A(?:KIA|SIA|GPA|IDA|ROA|NPA|NVA|IPA)[A-Z0-9]{16}(?![A-Za-z0-9])',
  'github-token': 'gh[pousr]_[A-Za-z0-9]{30,255}|github_pat_[A-Za-z0-9_]{22,255}',
  'stripe-key': '[srp]k_(?:live|test)_[A-Za-z0-9]{10,247}|whsec_[A-Za-z0-9+/]{16,100}',
  'slack-token': 'xox[abeoprs]-[A-Za-z0-9-]{10,250}|xapp-\\d-[A-Za-z0-9-]{10,250}',
  'google-key': 'AIza[A-Za-z0-9_-]{35}|ya29\\.[A-Za-z0-9_-]{20,500}|GOCSPX-[A-Za-z0-9_-]{20,60}',
  'stoa-key': 'stoa_sk_[A-Za-z0-9_-]{8,200}',
} as const;

const regex = (pattern: RegExp) => (text: string, found: Found): void => { for (const { index, 0: match } of text.matchAll(pattern)) found(index, index + match.length); };

const BEGIN = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const LONGEST_KEY = 32_768;
/** To its end line; one without an end is taken as far as keys are long. */
function findPrivateKeys(text: string, found: Found): void {
  let past = 0;
  for (const { index, 0: head } of text.matchAll(BEGIN)) {
    if (index < past) continue;
    const tail = text.slice(index, index + LONGEST_KEY);
    const end = tail.indexOf('-----END ', head.length);
    const close = end === -1 ? -1 : tail.indexOf('-----', end + 9);
    past = index + (close === -1 ? tail.length : close + 5);
    found(index, past);
  }
}

export const SHIPPED: readonly ShippedPattern[] = [
  { name: 'private-key', triggers: TRIGGER.dashes, find: findPrivateKeys },
  { name: 'jwt', triggers: TRIGGER.longRun, find: regex(JWT) },
  ...Object.entries(KEYS).map(([name, source]) => ({ name, triggers: TRIGGER.longRun, find: regex(new RegExp(source, 'g')) })),
  { name: 'token', triggers: TRIGGER.longRun, find: findBearers },
  { name: 'email', triggers: TRIGGER.at, find: findEmails },
  { name: 'credit-card', triggers: TRIGGER.digits, find: findCards },
  { name: 'iban', triggers: TRIGGER.digits | TRIGGER.longRun, find: findIbans },
  { name: 'ssn', triggers: TRIGGER.digits, find: regex(SSN) },
  { name: 'phone', optional: true, triggers: TRIGGER.fewDigits, find: regex(PHONE) },
];

export const spansIn = (patterns: readonly ShippedPattern[], text: string, triggers: number): Span[] => {
  const spans: Span[] = [];
  for (const { name, triggers: needs, find } of patterns) {
    if ((triggers & needs) !== 0) find(text, (start, end) => { spans.push({ start, end, name, replacement: `[redacted-${name}]` }); });
  }
  return spans;
};
