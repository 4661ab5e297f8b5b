import { convertMcp } from '#libs/backends/mcp/convert-mcp.js';
import { answerConversion } from '#libs/tool-listing/conversion-thread.js';

answerConversion(convertMcp, 'the server\'s lists');
