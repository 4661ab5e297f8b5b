// Exit 0 when URL answers 2xx within 4 s; a probe for images that hold no shell.  node healthy.mjs URL
const ok = await fetch(process.argv[2], { signal: AbortSignal.timeout(4000) }).then((reply) => reply.ok, () => false);
process.exit(ok ? 0 : 1);
