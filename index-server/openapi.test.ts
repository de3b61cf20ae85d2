import { TestIndex } from './testing/test-index.js';

interface Operation {
  readonly operationId: string;
  readonly parameters?: readonly { name: string; in: string; required: boolean; schema: unknown }[];
  readonly requestBody?: unknown;
  readonly responses: Readonly<Record<string, { readonly description: string }>>;
  readonly security: readonly Readonly<Record<string, unknown>>[];
  readonly tags: readonly string[];
}
interface Document {
  readonly openapi: string;
  readonly info: { readonly title: string; readonly version: string };
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: {
    readonly schemas: Readonly<Record<string, unknown>>;
    readonly securitySchemes: Readonly<Record<string, unknown>>;
  };
  readonly tags: readonly { readonly name: string }[];
}

/** What the contract promises. */
const ROUTES = `
  GET / GET /livez GET /readyz GET /metrics GET /openapi.json
  POST /login POST /logout POST /index POST /search
  POST /api/v1/accounts POST /api/v1/sessions DELETE /api/v1/sessions/current
  GET /api/v1/account PUT /api/v1/account/password
  POST /api/v1/peers GET /api/v1/peers DELETE /api/v1/peers/{name}
  POST /api/v1/peers/{name}/heartbeat POST /api/v1/peers/{name}/holdings POST /api/v1/peers/{name}/records
  GET /api/v1/peers/{name}/place POST /api/v1/peers/{name}/hand-over
  POST /api/v1/reports GET /api/v1/keys
  POST /api/v1/files POST /api/v1/publish/many GET /api/v1/files GET /api/v1/search
  GET /api/v1/files/{ref} PATCH /api/v1/files/{ref} DELETE /api/v1/files/{ref}
  POST /api/v1/locate POST /api/v1/locate/many POST /api/v1/tickets`;

function promised(): string[] {
  const words = ROUTES.trim().split(/\s+/);
  return words.flatMap((word, at) => (at % 2 === 0 ? [`${word} ${words[at + 1]}`] : [])).sort();
}

describe('the document of the API', () => {
  let index: TestIndex;
  let document: Document;
  beforeAll(async () => {
    index = await TestIndex.start();
    document = (await (await index.request('/openapi.json')).json()) as Document;
  });
  afterAll(() => index.stop());

  const operations = () =>
    Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    );

  test('has what OpenAPI 3.1 requires', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: expect.any(String) });
    const ids = operations().map(({ operation }) => operation.operationId);
    expect(new Set(ids).size).toBe(ids.length);
    const sections = document.tags.map(({ name }) => name);
    for (const { path, operation } of operations()) {
      expect(path).toMatch(/^\//);
      expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
      for (const [status, response] of Object.entries(operation.responses)) {
        expect(status).toMatch(/^[2-5]\d\d$/);
        expect(response.description).not.toBe('');
      }
      for (const tag of operation.tags) expect(sections).toContain(tag);
      for (const scheme of operation.security.flatMap(Object.keys)) {
        expect(document.components.securitySchemes).toHaveProperty(scheme);
      }
    }
  });

  test('declares each parameter of each path, once', () => {
    for (const { path, operation } of operations()) {
      const inPath = (operation.parameters ?? []).filter((parameter) => parameter.in === 'path');
      expect(inPath.map(({ name }) => name)).toEqual([...path.matchAll(/\{(\w+)\}/g)].map((match) => match[1]));
      expect(inPath.every(({ required }) => required)).toBe(true);
      const keys = (operation.parameters ?? []).map((parameter) => `${parameter.in} ${parameter.name}`);
      expect(new Set(keys).size).toBe(keys.length);
    }
  });

  test('refers to nothing that is not there, and has nothing that nobody refers to', () => {
    const text = JSON.stringify(document);
    const references = new Set([...text.matchAll(/"\$ref":"([^"]+)"/g)].map((match) => match[1]));
    const names = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...references].sort()).toEqual(names.sort());
    expect(text).not.toContain('$defs');
  });

  test('says which failures are to be expected, as problems', () => {
    for (const { path, operation } of operations().filter(({ path }) => path.startsWith('/api/'))) {
      if (operation.security.some((scheme) => 'bearer' in scheme)) expect(operation.responses).toHaveProperty('401');
      if (operation.requestBody !== undefined) expect(operation.responses).toHaveProperty('413');
      expect([path, operation.responses]).toEqual([path, expect.objectContaining({ 503: expect.anything() })]);
    }
    expect(document.components.schemas).toHaveProperty('Problem');
  });

  test('holds every route of the contract and no other', () => {
    const documented = operations().map(({ method, path }) => `${method.toUpperCase()} ${path}`);
    expect(documented.sort()).toEqual(promised());
  });

  test('agrees with what the server answers to', async () => {
    const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'];
    for (const [path, documented] of Object.entries(document.paths)) {
      for (const method of methods) {
        const response = await index.request(path.replaceAll(/\{\w+\}/g, 'x'), { method });
        await response.arrayBuffer();
        const isThere = Object.hasOwn(documented, method.toLowerCase());
        expect([method, path, response.status === 405]).toEqual([method, path, !isThere]);
        expect(response.status).not.toBe(404);
        if (isThere) continue;
        const allowed = Object.keys(documented).flatMap((name) =>
          name === 'get' ? ['GET', 'HEAD'] : [name.toUpperCase()],
        );
        expect(response.headers.get('allow')?.split(', ').sort()).toEqual(allowed.sort());
      }
    }
  });
});
