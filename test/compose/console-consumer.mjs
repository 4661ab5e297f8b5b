// Stands for kafka-console-consumer.sh, whose class is not among the broker's own jars: prints the values of a topic from its beginning.
//   --bootstrap-server HOST:PORT --topic NAME --from-beginning --max-messages N --timeout-ms N
import { parseArgs } from 'node:util';
import { Kafka, logLevel } from 'kafkajs';

const { values } = parseArgs({ options: { 'bootstrap-server': { type: 'string' }, topic: { type: 'string' }, 'from-beginning': { type: 'boolean' }, 'max-messages': { type: 'string' }, 'timeout-ms': { type: 'string' } } });
const consumer = new Kafka({ brokers: [values['bootstrap-server']], logLevel: logLevel.NOTHING }).consumer({ groupId: `console-${process.pid}` });
const late = setTimeout(() => { process.exit(1); }, Number(values['timeout-ms'] ?? 30_000) + 20_000);
let left = Number(values['max-messages'] ?? Infinity);
await consumer.connect();
await consumer.subscribe({ topic: values.topic, fromBeginning: values['from-beginning'] === true });
await new Promise((resolve, reject) => {
  consumer.run({ eachMessage: ({ message }) => {
    if (left > 0) process.stdout.write(`${message.value?.toString()}\n`);
    left -= 1;
    if (left === 0) resolve();
    return Promise.resolve();
  } }).catch(reject);
});
clearTimeout(late);
await consumer.disconnect();
