import { metricIn } from './peer-metric.js';

const page = '# HELP shoal_peer_event_loop_lag_seconds p99\nshoal_peer_event_loop_lag_seconds 0.0123\nx 1\n';

test('a figure is read from a page of metrics', () => {
  expect(metricIn(page, 'shoal_peer_event_loop_lag_seconds')).toBe(0.0123);
  expect(metricIn(page, 'x')).toBe(1);
});

test('a figure that is not there, or has labels, is no figure', () => {
  expect(() => metricIn(page, 'shoal_peer_event_loop')).toThrow('do not tell shoal_peer_event_loop');
  expect(() => metricIn('calls{code="ok"} 3\n', 'calls')).toThrow('do not tell');
});
