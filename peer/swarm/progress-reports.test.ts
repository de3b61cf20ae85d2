import type { FetchProgress } from './fetch.js';
import { ProgressReports } from './progress-reports.js';

describe('progress', () => {
  it('is told some ten times a second at the most, with all that has come', () => {
    const reports = new ProgressReports(() => 3);
    const told: FetchProgress[] = [];
    reports.add((progress) => told.push(progress));
    reports.begin(1_000, 9_000);
    for (let nowMs = 1_000; nowMs < 2_000; nowMs += 1) reports.got(1, nowMs);
    expect(told).toHaveLength(13);
    expect(told[0]).toEqual({ waiting: undefined, doneBytes: 1_001, totalBytes: 9_000, peers: 3 });
    reports.end();
    expect(told.at(-1)).toEqual({ waiting: undefined, doneBytes: 2_000, totalBytes: 9_000, peers: 3 });
  });

  it('says why nothing moves', () => {
    const reports = new ProgressReports(() => 0);
    const told: FetchProgress[] = [];
    reports.add((progress) => told.push(progress));
    reports.wait('nobody is there');
    expect(told).toEqual([{ waiting: 'nobody is there', doneBytes: 0, totalBytes: 0, peers: 0 }]);
  });

  it('is told to nobody who has stopped listening, and to nobody after the end', () => {
    const reports = new ProgressReports(() => 0);
    const told: string[] = [];
    const stop = reports.add(() => told.push('one'));
    reports.add(() => told.push('two'));
    stop();
    reports.end();
    reports.got(1, 1_000);
    expect(told).toEqual(['two']);
  });
});
