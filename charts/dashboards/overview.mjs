// "Shoal / Overview": the questions that a person asks first, a row for each.

import { dashboard, THIS_RELEASE } from './dashboard.mjs';

const select = (prefix) => (name, labels) =>
  `${prefix}${name}{${labels === undefined ? THIS_RELEASE : `${THIS_RELEASE},${labels}`}}`;
const index = select('shoal_index_');
const peer = select('shoal_peer_');
const each = '[$__rate_interval]';
const shown = '[$__range]';

/** Ends of a fetch that say nothing against the swarm: all went well, or the one who asked did not want or may not. */
const FINE = 'ok|cancelled|not_found|denied|unauthenticated|invalid';

const redAbove = (value) => [
  [null, 'green'],
  [value, 'red'],
];
const redBelow = (value) => [
  [null, 'red'],
  [value, 'green'],
];

/** @type {() => object} */
export function overview() {
  return dashboard({
    title: 'Shoal / Overview',
    uid: 'shoal-overview',
    description: 'Is it well, what moves, who is there, what is slow.',
    rows: [
      { title: 'Is it well?', panels: health },
      { title: 'What moves?', panels: throughput },
      { title: 'Who is there, and what lacks copies?', panels: peers },
      { title: 'What is slow, what fails?', panels: transfers },
    ],
  });
}

const usedShare = `${peer('store_used_bytes')} / (${peer('store_free_bytes')} + ${peer('store_used_bytes')})`;

const health = [
  {
    kind: 'stat',
    title: 'Index servers',
    description: 'Those that answer Prometheus.',
    queries: { up: `sum(up{${THIS_RELEASE},app_kubernetes_io_component="index"})` },
    colors: redBelow(1),
  },
  {
    kind: 'stat',
    title: 'Store',
    description: 'Whether the database of the index answers: 1 or 0.',
    queries: { up: `min(${index('store_up')})` },
    colors: redBelow(1),
  },
  {
    kind: 'stat',
    title: 'Live peers',
    description: 'Peers whose heartbeats arrive.',
    queries: { live: `max(${index('peers', 'state="live"')})` },
    colors: redBelow(1),
  },
  {
    kind: 'stat',
    title: 'Lost peers',
    description: 'Peers whose heartbeats stopped without a good-bye, within the hour.',
    queries: { lost: `max(${index('peers', 'state="gone"')})` },
    colors: redAbove(1),
  },
  {
    kind: 'stat',
    title: 'Files short of copies',
    description: 'Files with fewer live copies than wanted.',
    queries: { files: `max(${index('under_replicated_files')})` },
    colors: redAbove(1),
  },
  {
    kind: 'stat',
    title: 'Fullest peer',
    description: 'How much of what the quota or the disk allows is in use there.',
    queries: { used: `max(${usedShare})` },
    unit: 'percentunit',
    colors: [
      [null, 'green'],
      [0.75, 'orange'],
      [0.9, 'red'],
    ],
  },
  {
    kind: 'stat',
    title: 'Firing alerts',
    description: "Of this namespace, where the chart's rules are installed.",
    queries: { firing: 'sum(ALERTS{alertname=~"Shoal.+",alertstate="firing",namespace="$namespace"}) or vector(0)' },
    colors: redAbove(1),
  },
  {
    kind: 'stat',
    title: 'Files',
    description: 'Current versions in the catalogue.',
    queries: { files: `max(${index('files')})` },
  },
];

const throughput = [
  {
    kind: 'timeseries',
    title: 'Received, by source',
    description: 'exchange: from other peers. upload: by gRPC clients. http: by PUT. download: what /csearch fetches.',
    queries: { '{{kind}}': `sum by (kind) (rate(${peer('received_bytes_total')}${each}))` },
    unit: 'Bps',
    isStacked: true,
  },
  {
    kind: 'timeseries',
    title: 'Sent, by destination',
    description: 'exchange: to other peers. download: to gRPC clients. http: by GET. upload: what /cindex sends.',
    queries: { '{{kind}}': `sum by (kind) (rate(${peer('sent_bytes_total')}${each}))` },
    unit: 'Bps',
    isStacked: true,
  },
  {
    kind: 'timeseries',
    title: 'Sent, by peer',
    description: 'Whether the work is shared, or one peer carries it.',
    queries: { '{{pod}}': `sum by (pod) (rate(${peer('sent_bytes_total')}${each}))` },
    unit: 'Bps',
  },
];

const peers = [
  {
    kind: 'timeseries',
    title: 'Peers by state',
    description:
      'As the index sees them. withdrawn: left in good order within the hour. gone: their heartbeats stopped.',
    queries: { '{{state}}': `max by (state) (${index('peers')})` },
    isStacked: true,
  },
  {
    kind: 'timeseries',
    title: 'Files short of copies',
    description:
      'Files with fewer live copies than wanted, the copies that peers are asked to make, what peers that drain have yet to hand' +
      ' over, and what others took with them.',
    queries: {
      'to hand over': `sum(${peer('hand_over_files')})`,
      'left behind in the last hour': `sum(increase(${index('left_behind_files_total')}[1h]))`,
      'short of copies': `max(${index('under_replicated_files')})`,
      'copies ordered a minute': `60 * sum(rate(${index('orders_total', 'kind="replicate"')}${each}))`,
    },
  },
  {
    kind: 'timeseries',
    title: 'Store in use, by peer',
    description: 'Of what the quota or the disk allows.',
    queries: { '{{pod}}': usedShare },
    unit: 'percentunit',
  },
];

const transfers = [
  {
    kind: 'timeseries',
    title: 'Slowest transfers, by peer',
    description: 'Bytes received for each second that fetches took: the five lowest.',
    queries: {
      '{{pod}}':
        `bottomk(5, sum by (pod) (increase(${peer('received_bytes_total', 'kind="exchange"')}${shown}))` +
        ` / (sum by (pod) (increase(${peer('fetch_seconds_sum')}${shown})) > 0))`,
    },
    unit: 'Bps',
  },
  {
    kind: 'timeseries',
    title: 'Longest fetches, by peer',
    description: 'Nine of ten fetches take no longer: the five highest.',
    queries: {
      '{{pod}}': `topk(5, histogram_quantile(0.9, sum by (pod, le) (rate(${peer('fetch_seconds_bucket')}${shown}))))`,
    },
    unit: 's',
  },
  {
    kind: 'timeseries',
    title: 'Time to the first byte',
    description: 'From the start of a fetch to its first verified chunk.',
    queries: Object.fromEntries(
      [
        ['half of the fetches', 0.5],
        ['19 of 20 fetches', 0.95],
      ].map(([legend, share]) => [
        legend,
        `histogram_quantile(${share}, sum by (le) (rate(${peer('time_to_first_byte_seconds_bucket')}${shown})))`,
      ]),
    ),
    unit: 's',
  },
  {
    kind: 'timeseries',
    title: 'Failed fetches a minute, by reason',
    description: 'Those that the asker gave up, or may not have, are left out.',
    queries: { '{{code}}': `60 * sum by (code) (rate(${peer('fetches_total', `code!~"${FINE}"`)}${each}))` },
  },
  {
    kind: 'timeseries',
    title: 'Requests to the index a second, by result',
    description: '5xx are its own failures.',
    queries: { '{{code}}': `sum by (code) (rate(${index('http_requests_total')}${each}))` },
    isStacked: true,
  },
  {
    kind: 'timeseries',
    title: 'Event loop lag, by peer',
    description: '99 of 100 delays are shorter. Much of it means too little CPU.',
    queries: { '{{pod}}': `max by (pod) (${peer('event_loop_lag_seconds')})` },
    unit: 's',
  },
];
