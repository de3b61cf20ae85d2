import { loopLagIn } from './loop-lag.js';

test('the delay of the event loop is read from the metrics', () => {
  const page = '# HELP shoal_peer_event_loop_lag_seconds p99\nshoal_peer_event_loop_lag_seconds 0.0123\nx 1\n';
  expect(loopLagIn(page)).toBe(0.0123);
  expect(() => loopLagIn('# HELP shoal_peer_event_loop_lag_seconds p99\n')).toThrow('do not tell');
});
