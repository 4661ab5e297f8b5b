import type { KafkaCluster } from '#libs/core/kafka-binding.js';

/** Kafka's own rule for names of topics (`Topic.java`). */
const LEGAL = /^[a-zA-Z0-9._-]{1,249}$/;
/** Topics of Kafka itself, of gateways and of this product's accounting: nobody's to write or read by a tool. */
const INTERNAL = /^(?:_|gw\.|stoa\.(?:metering|audit)\.)/;
const PATTERN = /^[a-zA-Z0-9._*-]{1,249}$/;
const MAX_STARS = 4;

export type TopicRules = Pick<KafkaCluster, 'topics' | 'topicPrefix'>;

/** Why a tool may not touch this topic; undefined when it may. Asked at import and again at each call. */
export function topicRefusal(topic: string, { topics, topicPrefix }: TopicRules): { readonly code: 'topic-name' | 'topic-internal' | 'topic-outside-prefix' | 'topic-outside-allow-list'; readonly problem: string } | undefined {
  if (!LEGAL.test(topic) || topic === '.' || topic === '..') return { code: 'topic-name', problem: 'is no topic name: 1 to 249 of letters, digits, ".", "_" and "-"' };
  if (INTERNAL.test(topic)) return { code: 'topic-internal', problem: 'is an internal topic, which no tool may touch' };
  if (topicPrefix !== undefined && !topic.startsWith(topicPrefix)) return { code: 'topic-outside-prefix', problem: `is outside the tenant's prefix; its topics begin with "${topicPrefix}"` };
  if (!topics.some((pattern) => matches(pattern, topic))) return { code: 'topic-outside-allow-list', problem: 'is not in the allow-list; add it, or a pattern for it, to connection.topics' };
  return undefined;
}

/** What is wrong with an entry of the allow-list. `*` stands for any run of characters. */
export function patternProblem(pattern: string): string | undefined {
  if (!PATTERN.test(pattern) || pattern.split('*').length - 1 > MAX_STARS) return `is no topic name or pattern: letters, digits, ".", "_", "-" and at most ${MAX_STARS} times "*"`;
  return undefined;
}

export const isPattern = (entry: string): boolean => entry.includes('*');

function matches(pattern: string, topic: string): boolean {
  if (!isPattern(pattern)) return pattern === topic;
  return new RegExp(`^${pattern.replaceAll(/[.-]/g, String.raw`\$&`).replaceAll('*', '.*')}$`).test(topic);
}
