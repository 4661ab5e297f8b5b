import type { RawObject } from '#libs/tool-listing/raw.js';

/** A Parameter Object as written, its `$ref` followed. */
export interface RawParameter { readonly node: RawObject; readonly pointer: string; readonly name: string; readonly in: string }
