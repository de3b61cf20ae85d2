#!/usr/bin/env node
/*
 * The door of people: everything that a person does is a `shoal` command. Only what every command needs is imported
 * here and in what this imports; gRPC and the like are loaded by the commands that use them, because start-up time is
 * what people feel.
 */
import { processIo } from './cli/io.js';
import { run } from './cli/run.js';

process.exitCode = await run(process.argv.slice(2), processIo(), process.env);
