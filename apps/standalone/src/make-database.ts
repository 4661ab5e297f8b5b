import { migrate } from '#libs/state/migrate.js';
import { openDatabase } from '#libs/state/database.js';

// A process of its own for the first start: making an embedded database takes three times the memory of using it, and none
// of that is given back before the process ends. node make-database.js FOLDER
const [, , directory] = process.argv;
if (directory === undefined) throw new Error('make-database needs the data folder');
const database = await openDatabase({ directory });
await migrate(database);
await database.close();
