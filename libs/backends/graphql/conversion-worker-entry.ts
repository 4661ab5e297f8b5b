import { convertGraphql } from '#libs/backends/graphql/convert-graphql.js';
import { answerConversion } from '#libs/tool-listing/conversion-thread.js';

answerConversion(convertGraphql, 'the schema');
