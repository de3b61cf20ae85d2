import { createServer, IncomingMessage, type Server, type ServerOptions, ServerResponse } from 'node:http';
import express, { type Express, type Request, type Response } from 'express';

/**
 * An HTTP server for an app of Express whose requests and answers are what Express wants from the beginning.
 *
 * Express puts its own methods into each request and answer by `Object.setPrototypeOf`. After that V8 shares no hidden class between
 * them: it makes new ones for every property of every request, some 20 kB in old space, which only a full collection
 * frees. Where the prototype is the right one already, nothing is changed. The app must not be used by another server.
 */
export function createExpressServer(app: Express, options: ServerOptions = {}): Server {
  class AppRequest extends IncomingMessage {}
  class AppResponse<T extends IncomingMessage> extends ServerResponse<T> {}
  app.request = adopt(AppRequest.prototype as Request, { parent: express.request, app });
  app.response = adopt(AppResponse.prototype as Response, { parent: express.response, app });
  return createServer({ ...options, IncomingMessage: AppRequest, ServerResponse: AppResponse }, app);
}

/** As Express makes its own: with all that `parent` has, and the app. */
function adopt<T extends object>(prototype: T, { parent, app }: { readonly parent: T; readonly app: Express }): T {
  Object.setPrototypeOf(prototype, parent);
  return Object.defineProperty(prototype, 'app', { value: app, configurable: true, writable: true });
}
