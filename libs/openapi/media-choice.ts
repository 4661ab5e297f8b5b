import type { RawObject } from '#libs/tool-listing/raw.js';

/** One media type of a body, its references followed. */
export interface MediaChoice {
  readonly mediaType: string;
  readonly pointer: string;
  readonly schemaNode: unknown;
  readonly schemaPointer: string;
  /** Encoding Object per property, as written. */
  readonly encoding: RawObject;
}
