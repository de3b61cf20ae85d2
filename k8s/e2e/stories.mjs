// The order in which stories are told, and which of them every change must pass. The first ones share a release, and
// those that leave it as they found it come first.

/** Every namespace that a story makes has it. */
export const STORY_LABEL = 'shoal-e2e=story';

/** What `npm run e2e` tells. */
export const EVERY_CHANGE = [
  'install',
  'transfer',
  'application',
  'prometheus',
  'seeding-pod-killed',
  'rolling-restart',
  'index-pod-deleted',
  'scale',
  'upgrade',
];

/** What `npm run e2e:all` tells besides. */
export const ON_REQUEST = [
  'ten-kills',
  'drain',
  'seed-routes',
  'mongodb-deleted',
  'stores',
  'tls',
  'bad-input',
  'network-policy',
  'uninstall',
];
