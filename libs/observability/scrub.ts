/** Keys whose text is never written, whatever it is, at any depth of a record. */
const SECRET_KEY = /"((?:proxy-)?authorization|(?:set-)?cookie|x-api-key|[a-z_-]*(?:password|passwd|secret|api[_-]?key|access[_-]?token|refresh[_-]?token|id[_-]?token|client[_-]?assertion|private[_-]?key)|token)":"(?:[^"\\]|\\.)*"/gi;
/** A JWT or a scheme with its credential, wherever it stands in a text. */
const SECRET_SHAPE = /\b(?:eyJ[\w-]{4,}\.[\w-]+\.[\w-]*|(?:Bearer|Basic) +[\w+/=.~-]{6,}|stoa_sk_[0-9a-f]{8,})/gi;
/** The query of a URL may carry a credential: a log has no need of it. */
const QUERY = /(\bhttps?:\/\/[^\s"?#\\]+)\?[^\s"\\]*/gi;
/** Credentials in the authority of a URL, as in DATABASE_URL. */
const USERINFO = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s"/@\\]+@/gi;
const CENSORED = '[redacted]';

/**
 * Removes secrets from one line of log (SEC-39): by key, by shape, and by value for those made known. Works on the
 * finished line, so that nothing can be logged around it.
 */
export class Scrubber {
  private readonly values = new Set<string>();
  private known: RegExp | undefined;

  /** Values shorter than 6 characters are not taken: they would hollow out unrelated text. Written forms: plain, JSON and base64. */
  add(value: string): void {
    if (value.length < 6 || this.values.has(value)) return;
    this.values.add(value);
    this.values.add(JSON.stringify(value).slice(1, -1));
    this.values.add(Buffer.from(value).toString('base64'));
    this.known = new RegExp([...this.values].toSorted((a, b) => b.length - a.length).map(literal).join('|'), 'g');
  }

  line(text: string): string {
    let clean = this.known ? text.replace(this.known, CENSORED) : text;
    clean = clean.replace(SECRET_KEY, `"$1":"${CENSORED}"`);
    clean = clean.replace(SECRET_SHAPE, CENSORED);
    return clean.includes('://') ? clean.replace(QUERY, '$1').replace(USERINFO, `$1${CENSORED}@`) : clean;
  }
}

const literal = (text: string): string => text.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, String.raw`\$&`);
