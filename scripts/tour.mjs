// What `npm start` prints when all is running: commands that work when pasted into another terminal.

/**
 * @param {{ name: string, pid: number, url: string, address?: string, socket?: string, shareDir?: string }[]} programs
 *   the index first
 * @param {{ dataDir: string, next: number, startOptions: string }} options number of the next peer; how this was started
 */
export function tour([index, ...peers], { dataDir, next, startOptions }) {
  const [first, second = first, third = second] = peers;
  const on = (peer) => (peer.socket === 'data/peer-1/control.sock' ? '' : `SHOAL_SOCKET=${peer.socket} `);
  const json = "-H 'content-type: application/json'";
  const rows = [
    ['', 'HTTP', 'gRPC', 'pid'],
    ...[index, ...peers].map((p) => [p.name, p.url, p.address ?? '', String(p.pid)]),
  ];
  return `
Shoal runs: one index, ${peers.length === 1 ? 'one peer' : `${peers.length} peers`}. Data is in ${dataDir}. Ctrl-C stops it, and \`npm start\` goes on with the same data.

${table(rows)}

In another terminal, in this folder:

  # put a file into peer 1, get it from the others
  head -c 100000000 /dev/urandom > ${dataDir}/sample.bin
  ${on(first)}npx shoal put ${dataDir}/sample.bin
  ${on(second)}npx shoal get sample.bin --to ${dataDir}/copy-2.bin
  ${on(third)}npx shoal get sample.bin --to ${dataDir}/copy-3.bin
  sha256sum ${dataDir}/*.bin

  # look around
  ${on(first)}npx shoal ls
  ${on(first)}npx shoal stat sample.bin
  ${on(first)}npx shoal peers
  ${on(first)}npx shoal help

  # the same over plain HTTP, without the command line
  curl -sST ${dataDir}/sample.bin ${first.url}/files/by-curl.bin
  curl -sSo ${dataDir}/copy-4.bin ${second.url}/files/by-curl.bin

  # register, register files, search (which downloads), log out: each through a peer
  echo hello > ${first.shareDir}/hello.txt
  curl -sS ${first.url}/clogin  ${json} -d '{"username":"ann","password":"correct horse","url":"${first.address}"}'
  curl -sS ${first.url}/cindex  ${json} -d '{"username":"ann","files":["hello.txt"]}'
  curl -sS ${second.url}/csearch ${json} -d '{"files":["hello.txt"]}'
  curl -sS ${first.url}/clogout ${json} -d '{"username":"ann"}'

  # one peer more, or one again that was killed
  npm start -- ${startOptions}--peer ${next}

Web page ${index.url}/  API ${index.url}/openapi.json  Logs ${dataDir}/logs
`;
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => row[column].length)));
  return rows
    .map((row) => `  ${row.map((cell, column) => cell.padEnd(widths[column])).join('  ')}`.trimEnd())
    .join('\n');
}
