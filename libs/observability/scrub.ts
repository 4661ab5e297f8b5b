/** Keys whose text is never written, whatever it is, at any depth of a record. */
const SECRET_KEY = /"((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|[a-z_-]*(?:password|passwd|secret|api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?assertion|private[_-]?key)|token)":"(?:[^"\\]|\\.)*"/gi;
/** A JWT or a scheme with its credential, wherever it stands in a text. */
const SECRET_SHAPE = /\b(?:eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|(?:Bearer|Basic) +[\w+/=.~-]{6,}|stoa_sk_[0-9a-f]{8,})/gi;
/** The query of a URL may carry a credential: a log has no need of it. */
const QUERY = /(\bhttps?:\/\/[^\s"?#\\]+)\?[^\s"\\]*/gi;
/** Credentials in the authority of a URL, as in DATABASE_URL. */
const USERINFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s"/@\\]+@/gi;
/** A part of everything that the four above match: most lines have none, and are done. */
const SUSPICIOUS = /author|cookie|passw|secret|token|key"|assertion|eyJ|bearer|basic|stoa_sk|:\/\//i;
const CENSORED = '[redacted]';
/** Up to this many known values, looking for each is quicker than one expression for all. */
const FEW = 32;

/**
 * Removes secrets from one line of log (SEC-39): by key, by shape, and by value for those made known. Works on the
 * finished line, so that nothing can be logged around it.
 */
export class Scrubber {
  private readonly values = new Set<string>();
  /** Longest first: a value that is part of another must not break it up. */
  private ordered: readonly string[] = [];
  private known: RegExp | undefined;

  /** Values shorter than 6 characters are not taken: they would hollow out unrelated text. Written forms: plain, JSON and base64. */
  add(value: string): void {
    if (value.length < 6 || this.values.has(value)) return;
    this.values.add(value);
    this.values.add(JSON.stringify(value).slice(1, -1));
    this.values.add(Buffer.from(value).toString('base64'));
    this.ordered = [...this.values].toSorted((a, b) => b.length - a.length);
    this.known = new RegExp(this.ordered.map(literal).join('|'), 'g');
  }

  line(text: string): string {
    const clean = this.withoutValues(text);
    if (!SUSPICIOUS.test(clean)) return clean;
    return clean.replace(SECRET_KEY, `"$1":"${CENSORED}"`).replace(SECRET_SHAPE, CENSORED).replace(QUERY, '$1').replace(USERINFO, `$1${CENSORED}@`);
  }

  private withoutValues(text: string): string {
    if (this.ordered.length > FEW) return this.known ? text.replace(this.known, CENSORED) : text;
    let clean = text;
    for (const value of this.ordered) if (clean.includes(value)) clean = clean.replaceAll(value, CENSORED);
    return clean;
  }
}

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
