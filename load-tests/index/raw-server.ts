import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/*
 * What any HTTP server on Node is measured against: one that reads a request and answers it with so many bytes that it
 * has ready. Told how many as its argument; tells its port over the channel of `fork`, and ends when that closes.
 */

const answer = Buffer.alloc(Number(process.argv[2]), 'x');
const headers = { 'content-type': 'application/json', 'content-length': answer.length };

const server = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(200, headers).end(answer));
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.on('disconnect', () => process.exit(0));
