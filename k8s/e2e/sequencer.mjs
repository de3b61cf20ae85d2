import { basename } from 'node:path';
import Sequencer from '@jest/test-sequencer';
import { EVERY_CHANGE, ON_REQUEST } from './stories.mjs';

/** Tells the stories in the order of stories.mjs, whatever came of them in earlier runs. */
export default class StorySequencer extends Sequencer {
  sort(tests) {
    const order = [...EVERY_CHANGE, ...ON_REQUEST];
    const place = (test) => order.indexOf(basename(test.path, '.e2e.test.ts'));
    return [...tests].sort((a, b) => place(a) - place(b));
  }
}
