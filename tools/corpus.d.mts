/** See corpus.mjs. */
export function corpusFolder(say?: (line: string) => void): string;
