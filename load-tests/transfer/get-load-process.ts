import { type GetLoad, runGetLoad } from './get-load.js';

/*
 * The generator in a process of its own, so that what it does is not in the way of whoever measures, and its CPU time can
 * be told: `node get-load-process.js LOAD` runs it and prints the figures, both in JSON.
 */

const figures = await runGetLoad(JSON.parse(process.argv[2] ?? '') as GetLoad);
console.log(JSON.stringify(figures));
