import { convertKafka } from '#libs/backends/kafka/convert-kafka.js';
import { answerConversion } from '#libs/tool-listing/conversion-thread.js';

answerConversion(convertKafka, 'the document');
