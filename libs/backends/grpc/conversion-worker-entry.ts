import { convertGrpc } from '#libs/backends/grpc/convert-grpc.js';
import { answerConversion } from '#libs/tool-listing/conversion-thread.js';

answerConversion(convertGrpc, 'the descriptors');
