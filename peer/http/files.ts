import type { Request, RequestHandler } from 'express';
import type { Admitted, HttpDoorDeps, HttpDoorOptions } from './deps.js';
import { getFile } from './get-file.js';
import { methodNotAllowed } from './problem.js';
import { putFile } from './put-file.js';
import { FILES_PATH } from './ref-path.js';

/** Label of the file routes in the metrics. */
const ROUTE = '/files/{ref}';

/** `GET|HEAD /files/REF` and `PUT /files/NAME`; other paths are passed on. `access` says who calls, or throws. */
export function filesHandler(
  deps: HttpDoorDeps,
  options: HttpDoorOptions,
  access: (request: Request) => Admitted,
): RequestHandler {
  return async (request, response, next) => {
    if (!request.originalUrl.startsWith(FILES_PATH)) {
      next();
      return;
    }
    response.locals['route'] = ROUTE;
    response.setHeader('X-Content-Type-Options', 'nosniff');
    // What people publish must not act as a page of this host, whoever opens it.
    response.setHeader('Content-Security-Policy', "default-src 'none'; sandbox");
    response.setHeader('Cross-Origin-Resource-Policy', 'same-origin');
    const caller = access(request);
    const call = { request, response, onBehalf: caller.kind === 'session' ? caller.token : undefined };
    switch (request.method) {
      case 'GET':
      case 'HEAD':
        await getFile(deps, options, call);
        return;
      case 'PUT':
        await putFile(deps, options, call);
        return;
      default:
        throw methodNotAllowed(request.method, 'GET, HEAD, PUT');
    }
  };
}
