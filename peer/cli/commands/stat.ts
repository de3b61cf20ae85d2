import type { CommandContext } from '../command-context.js';
import { formatSize } from '../format.js';
import { fileFacts, fileJson } from './files.js';

/** Tells all about one file. */
export async function stat(context: CommandContext, ref: string): Promise<void> {
  const client = await context.connect();
  const answer = await client.call('Stat', { ref });
  const file = fileJson(answer.file);
  const holders = answer.holders.map(({ peer, address, complete }) => ({ peer, address, complete }));
  await context.report({
    json: {
      id: file.id,
      name: file.name,
      owner: file.owner,
      size: file.size,
      sha256: answer.sha256,
      chunkSize: answer.chunkBytes,
      chunks: answer.chunks,
      tags: file.tags,
      visibility: file.visibility,
      replicas: answer.replicas,
      publishedAt: file.publishedAt,
      version: answer.version,
      readers: answer.readers,
      holders,
    },
    names: [file.name],
    table: () =>
      fileFacts(file, [
        ['sha256', answer.sha256],
        ['version', String(answer.version)],
        ['chunks', `${answer.chunks} of ${formatSize(answer.chunkBytes)}`],
        ['replicas', `${answer.replicas} wanted`],
        ['readers', answer.readers.join(', ') || '-'],
        ...holders.map(
          ({ peer, address, complete }) => ['holder', `${peer} ${address}${complete ? '' : ' (in part)'}`] as const,
        ),
      ]),
  });
}
