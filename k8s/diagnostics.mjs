// What a person would look at when something does not work in a namespace.

import { CommandFailed, run } from './tools.mjs';

const LOG_LINES = 40;

/**
 * Pods, what the cluster says of those that are not well, events, and the ends of logs, also of containers that ended.
 * Never rejects for what kubectl cannot tell: that it cannot is then part of the text.
 *
 * @param {string} namespace
 * @param {{ env?: Record<string, string | undefined> }} [options]
 */
export async function diagnose(namespace, { env } = {}) {
  const kubectl = (...args) => ask(['--namespace', namespace, ...args], env);
  const parts = [
    `=== pods in ${namespace}`,
    await kubectl('get', 'pods,pvc,services', '--output=wide'),
    '=== events',
    await kubectl('get', 'events', '--sort-by=.lastTimestamp', `--output=custom-columns=${EVENT_COLUMNS}`),
  ];
  const template = '{range .items[*]}{.metadata.name}{"\\n"}{end}';
  const pods = (await kubectl('get', 'pods', `--output=jsonpath=${template}`)).split('\n').filter(Boolean);
  for (const pod of pods) {
    const logs = ['logs', pod, '--all-containers', '--prefix', `--tail=${LOG_LINES}`];
    parts.push(`=== log of ${pod}`, await kubectl(...logs));
    const previous = await kubectl(...logs, '--previous');
    if (!/previous terminated container .* not found/.test(previous))
      parts.push(`=== log of ${pod} before it restarted`, previous);
  }
  return parts.join('\n');
}

const EVENT_COLUMNS =
  'LAST:.lastTimestamp,COUNT:.count,TYPE:.type,REASON:.reason,OBJECT:.involvedObject.name,MESSAGE:.message';

async function ask(args, env) {
  try {
    return (await run('kubectl', args, { env })).trimEnd();
  } catch (error) {
    if (error instanceof CommandFailed) return error.message;
    throw error;
  }
}
